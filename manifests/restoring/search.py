"""The search for real images by their sha256, in copies of their data sets that may have another layout.

First it reads the file where the list says that an image was: one file for each image. Images that are not there are
searched for among all files below the folders, also in tar archives and Parquet files, each of which is hashed once.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath

from manifests.reading_threads import ReadingThreads
from workspace.containers import ParquetImages, Tar
from workspace.errors import is_refusal
from workspace.folder_tree import is_folder, paths_below
from workspace.identity import sha256_of_file
from workspace.locator import LocatorReader, row_locator, split_locator

#: Images that are hashed together.
_CHUNK = 64


def find_images(
    copies: Sequence[Path], listed: Mapping[str, str], advance: Callable[[int, str], None] = lambda *_: None
) -> dict[str, str]:
    """The locators, by sha256, of the listed images in `copies` (folders, or single archives); `listed` has the ids
    (`real_id`) by sha256.

    `advance` is called with how many more were found, and where the search is.
    """
    reader = LocatorReader()
    found: dict[str, str] = {}
    by_id = (
        f"{root}/{real_id}" for root in copies if root.is_dir() for real_id in listed.values() if _stays_below(real_id)
    )
    everything = (locator for root in copies for locator in _all_in(root))
    for locators in (by_id, everything):
        storable = filter(_is_utf8, locators)
        while len(found) < len(listed) and (chunk := list(islice(storable, _CHUNK))):
            before = len(found)
            for locator, sha256 in zip(chunk, _hash(reader, chunk), strict=True):
                if sha256 is not None and sha256 in listed:
                    found.setdefault(sha256, locator)
            advance(len(found) - before, chunk[-1])
    return found


def _stays_below(real_id: str) -> bool:
    """Whether the path of an id stays below its folder: the list is from an unknown author."""
    path = PurePosixPath(real_id)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in real_id


def _is_utf8(locator: str) -> bool:
    """Whether a table can store the locator: names on a disk may be any bytes."""
    try:
        locator.encode()
    except UnicodeEncodeError:
        return False
    return True


def _hash(reader: LocatorReader, locators: Sequence[str]) -> list[str | None]:
    """The sha256 of the image at each locator; None: nothing there can be read."""

    def hash_of(locator: str) -> str | None:
        inside = split_locator(locator)
        try:
            # Anything else may be a pipe, from which reading would wait.
            if not Path(inside[0] if inside else locator).is_file():
                return None
            return hashlib.sha256(reader.read(locator)).hexdigest() if inside else sha256_of_file(Path(locator))
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and is_refusal(error):
                raise
            return None

    with ReadingThreads() as threads:
        reading = [threads.submit(locator, hash_of, locator) for locator in locators]
    return [one.result() for one in reading]


def _all_in(root: Path) -> Iterator[str]:
    """The locators of all files, and of the members of archives and rows of Parquet files, in the order of names."""
    if root.is_file():
        yield from _inside(str(root))
        return
    visited = set()

    def wanted(entry: os.DirEntry[str]) -> bool:
        if not is_folder(entry):
            return True
        status = entry.stat()
        identity = (status.st_dev, status.st_ino)
        if identity in visited:  # another link to it
            return False
        visited.add(identity)
        return True

    for path in paths_below(root, wanted, follow=True, on_error=_raise_refusal):
        yield from _inside(f"{root}/{path}")


def _raise_refusal(error: OSError) -> None:
    """A folder that may not be read: what is in it must not count as not found."""
    if is_refusal(error):
        raise error


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
    except OSError as error:
        if is_refusal(error):
            raise
        return  # not a container, or a damaged one: nothing in it is found
