"""Finding real images again by their sha256, in a copy of their data set that may be laid out in another way.

Where the list says that an image was, is looked first: that costs one file an image. What is not there, or is another
file by now, is looked for among all files below the folder, in archives and Parquet files too, each hashed once.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path, PurePosixPath

from workspace.containers import ParquetImages, Tar
from workspace.errors import UsageError
from workspace.locator import LocatorReader, row_locator

#: Images hashed together: enough to hide a disk's latency, and so many that memory stays at some hundred megabytes.
_THREADS = 8
_CHUNK = 64


def find_images(
    root: Path, wanted: Mapping[str, str], advance: Callable[[int], None] = lambda _: None
) -> dict[str, str]:
    """Where images lie below `root`: a locator by sha256. `wanted` has their ids (`real_id`) by sha256.

    `advance` hears how many more were found. Raises `UsageError` when `root` is no folder.
    """
    if not root.is_dir():
        raise UsageError(f"--restore {root}: no such folder; name the one that holds a real data set")
    reader = LocatorReader()
    found: dict[str, str] = {}
    named = (f"{root}/{real_id}" for real_id in wanted.values() if _stays_below(real_id))
    for places in (named, _all_below(root)):
        for locator, sha256 in _hashed(reader, places):
            if sha256 is not None and sha256 in wanted and sha256 not in found:
                found[sha256] = locator
                advance(1)
            if len(found) == len(wanted):
                return found
    return found


def _stays_below(real_id: str) -> bool:
    """The list came from a stranger: its ids must not lead elsewhere."""
    path = PurePosixPath(real_id)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in real_id


def _hashed(reader: LocatorReader, places: Iterator[str]) -> Iterator[tuple[str, str | None]]:
    """Each place with the sha256 of what is there; None: nothing that can be read."""

    def hashed(locator: str) -> str | None:
        try:
            return hashlib.sha256(reader.read(locator)).hexdigest()
        except (OSError, ValueError):
            return None

    with ThreadPoolExecutor(_THREADS) as threads:
        while chunk := list(islice(places, _CHUNK)):
            yield from zip(chunk, threads.map(hashed, chunk), strict=True)


def _all_below(root: Path) -> Iterator[str]:
    """The locators of all files, and of what is in archives and Parquet files, in the order of their names."""
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = f"{folder}/{name}"
            try:
                yield from _inside(path)
            except OSError:
                continue  # not a container after all, or damaged: what is in it is not found


def _inside(path: str) -> Iterator[str]:
    if path.lower().endswith(".tar"):
        tar = Tar(path)
        tar.close()
        yield from (f"{path}#{member}" for member in tar.members)
    elif path.lower().endswith(".parquet"):
        table = ParquetImages(path)
        table.close()
        yield from (f"{path}#{row_locator(row)}" for row in range(table.rows))
    else:
        yield path
