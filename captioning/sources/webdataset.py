"""Tar archives of images, as WebDataset reads and img2dataset writes them.

    root/
      00000.tar           000000000.jpg 000000000.txt 000000000.json 000000001.jpg ...
      00000.parquet       img2dataset's log of the downloads: not read
      00000_stats.json

The members of one example have the same key: the name up to the first dot. A member is an image when its whole
extension is an image's (`a.jpg`, not `a.seg.png`, which is a mask). The captions of an image are in the `.txt` with the
same key, otherwise in the `.json`. An image's id is `00000.tar#000000000.jpg`. Archives are scanned once for the names
and positions of their members, which are then read one at a time.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from captioning.sources.captions import captions_in_json, captions_in_text
from captioning.sources.folder import SUFFIXES, SYSTEM_FOLDERS
from captioning.sources.source import RealImage
from workspace.containers import Tar
from workspace.errors import UsageError
from workspace.hub_access import HubAccess
from workspace.locator import hub_errors, process_reader, split_locator

TAR_SUFFIXES = frozenset([".tar"])


@dataclass(frozen=True)
class WebDataset:
    """Tar archives below a root (a folder, or hf://datasets/ORG/NAME@COMMIT) as a collection."""

    root: str
    ids: Sequence[str]
    hub: HubAccess = field(default_factory=HubAccess)

    def image(self, real_id: str) -> RealImage:
        """The image with the captions that have its key."""
        locator = f"{self.root}/{real_id}"
        return RealImage(real_id, locator, self._captions(locator))

    def _captions(self, locator: str) -> tuple[str, ...]:
        archive, member = split_locator(locator) or (locator, "")
        folder, slash, name = member.rpartition("/")
        key = f"{archive}#{folder}{slash}{name.partition('.')[0]}"
        for suffix, read in ((".txt", captions_in_text), (".json", captions_in_json)):
            try:
                return read(process_reader(self.hub).read(key + suffix))
            except FileNotFoundError:
                continue
        return ()


def read_webdataset(root: str, names: Iterable[str], hub: HubAccess = HubAccess()) -> WebDataset:
    """Open the archives of these names below `root`.

    Raises `UsageError` when one is damaged or none holds images, `HubError` when the Hub does not answer.
    """
    ids = sorted(f"{name}#{member}" for name in names for member in _images(f"{root}/{name}", hub))
    if not ids:
        raise UsageError(f"the tar archives in {root} hold no images (members named .jpg, .png, .webp, ...)")
    return WebDataset(root, ids, hub)


def _images(path: str, hub: HubAccess) -> Iterator[str]:
    try:
        with hub_errors(path):
            archive = Tar(path, hub)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror}): download it again, or move it out of the source"
        ) from error
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
