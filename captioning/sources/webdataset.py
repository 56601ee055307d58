"""Tar archives of images, as WebDataset reads and img2dataset writes them.

    root/
      00000.tar           000000000.jpg 000000000.txt 000000000.json 000000001.jpg ...
      00000.parquet       what img2dataset notes of each download: not read
      00000_stats.json

The members of a sample share a key: the name up to the first dot. An image is a member whose whole extension says so
(`a.jpg`, not `a.seg.png`, which is a mask); its captions are in the sample's `.txt`, else in its `.json`. An image's id
is `00000.tar#000000000.jpg`. Archives are walked once for the names, and read member by member.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from captioning.sources.captions import captions_in_json, captions_in_text
from captioning.sources.folder import SUFFIXES, SYSTEM_FOLDERS
from captioning.sources.source import RealImage
from workspace.containers import Tar
from workspace.errors import UsageError
from workspace.locator import process_reader, split_locator

TAR_SUFFIXES = frozenset([".tar"])


@dataclass(frozen=True)
class WebDataset:
    """Tar archives below a root (a folder, or hf://datasets/ORG/NAME@COMMIT) as a collection."""

    root: str
    ids: Sequence[str]

    def image(self, real_id: str) -> RealImage:
        """The image with the captions of its sample."""
        locator = f"{self.root}/{real_id}"
        return RealImage(real_id, locator, _captions(locator))


def read_webdataset(root: str, names: Iterable[str]) -> WebDataset:
    """Open the archives of these names below `root`. Raises `UsageError` when one is damaged or none holds images."""
    ids = sorted(f"{name}#{member}" for name in names for member in _images(f"{root}/{name}"))
    if not ids:
        raise UsageError(f"the tar archives in {root} hold no images (members named .jpg, .png, .webp, ...)")
    return WebDataset(root, ids)


def _images(path: str) -> Iterator[str]:
    try:
        archive = Tar(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): fetch it again, or move it away") from error
    try:
        yield from (member for member in archive.members if _is_image(member))
    finally:
        archive.close()


def _is_image(member: str) -> bool:
    parts = PurePosixPath(member).parts
    if not parts or any(part.startswith(".") or part in SYSTEM_FOLDERS for part in parts):
        return False
    _, dot, extension = parts[-1].partition(".")
    return f"{dot}{extension.lower()}" in SUFFIXES


def _captions(locator: str) -> tuple[str, ...]:
    archive, member = split_locator(locator) or (locator, "")
    folder, slash, name = member.rpartition("/")
    sample = f"{archive}#{folder}{slash}{name.partition('.')[0]}"
    for suffix, read in ((".txt", captions_in_text), (".json", captions_in_json)):
        try:
            return read(process_reader().read(sample + suffix))
        except FileNotFoundError:
            continue
    return ()
