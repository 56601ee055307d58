"""Finding real images again by their sha256, in copies of their data sets that may be laid out in another way.

Where the list says that an image was, is looked first: that costs one file an image. What is not there, or is another
file by now, is looked for among all files below the folders, in tar archives and Parquet files too, each hashed once.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath

from manifests.reading_threads import ReadingThreads
from workspace.containers import ParquetImages, Tar
from workspace.identity import sha256_of_file
from workspace.locator import LocatorReader, row_locator, split_locator

#: Images that are looked at together.
_CHUNK = 64


def find_images(
    copies: Sequence[Path], wanted: Mapping[str, str], advance: Callable[[int, str], None] = lambda *_: None
) -> dict[str, str]:
    """Where images lie in `copies` (folders, or single archives): a locator by sha256. `wanted` has their ids
    (`real_id`) by sha256.

    `advance` hears how many more were found, and where the search is.
    """
    reader = LocatorReader()
    found: dict[str, str] = {}
    named = (
        f"{root}/{real_id}" for root in copies if root.is_dir() for real_id in wanted.values() if _stays_below(real_id)
    )
    everything = (place for root in copies for place in _all_in(root))
    for places in (named, everything):
        spelt = filter(_is_utf8, places)
        while len(found) < len(wanted) and (chunk := list(islice(spelt, _CHUNK))):
            before = len(found)
            for locator, sha256 in zip(chunk, _hashed(reader, chunk), strict=True):
                if sha256 is not None and sha256 in wanted:
                    found.setdefault(sha256, locator)
            advance(len(found) - before, chunk[-1])
    return found


def _stays_below(real_id: str) -> bool:
    """The list came from a stranger: its ids must not lead elsewhere."""
    path = PurePosixPath(real_id)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in real_id


def _is_utf8(locator: str) -> bool:
    """Whether a table can hold the locator: on a disk, names may be any bytes."""
    try:
        locator.encode()
    except UnicodeEncodeError:
        return False
    return True


def _hashed(reader: LocatorReader, locators: Sequence[str]) -> list[str | None]:
    """The sha256 of what is at each place; None: nothing that can be read."""

    def hashed(locator: str) -> str | None:
        inside = split_locator(locator)
        try:
            # Anything else may be a pipe, which would be waited for.
            if not Path(inside[0] if inside else locator).is_file():
                return None
            return hashlib.sha256(reader.read(locator)).hexdigest() if inside else sha256_of_file(Path(locator))
        except (OSError, ValueError):
            return None

    with ReadingThreads() as threads:
        reading = [threads.submit(locator, hashed, locator) for locator in locators]
    return [one.result() for one in reading]


def _all_in(root: Path) -> Iterator[str]:
    """The locators of all files, and of what is in archives and Parquet files, in the order of their names."""
    if root.is_file():
        yield from _inside(str(root))
    met = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in met:  # a link to where we have been
            folders.clear()
            continue
        met.add((status.st_dev, status.st_ino))
        folders.sort()
        for name in sorted(names):
            yield from _inside(f"{folder}/{name}")


def _inside(path: str) -> Iterator[str]:
    try:
        if not Path(path).is_file():
            return
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
    except OSError:
        return  # not a container after all, or damaged: what is in it is not found
