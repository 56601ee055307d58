"""Tar archives of images, as WebDataset reads and img2dataset writes them.

    root/
      licenses.json       optional, as of a folder tree; "00000.tar" stands for all images of that archive
      00000.tar           000000000.jpg 000000000.txt 000000000.json 000000001.jpg ...
      00000.parquet       img2dataset's log of the downloads: not read
      00000_stats.json

The members of one example have the same key: the name up to the first dot. The image of an example is the member whose
whole extension is an image's (`a.jpg`); beside it, `a.seg.png` is another field of the example, a mask, and is listed
as skipped. In an example without such a member, a name with dots is just a name (`holiday.2019.jpg`,
`a.image.jpg`). The captions of an image are in the `.txt` of the same name without suffix, or of the same key, or in
such a `.json`. Links and names that lead out of the archive are listed as skipped.

An image's id is `00000.tar#000000000.jpg`. Archives are scanned once for the names and positions of their members,
which are then read one at a time.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from captioning.images import UnusableImageError
from captioning.skipped import SkipReason
from captioning.sources.captions import CAPTION_BYTES, Captions, captions_in_row, captions_in_text, json_object
from captioning.sources.columns import Columns
from captioning.sources.folder import SUFFIXES, SYSTEM_FOLDERS
from captioning.sources.licenses import Licenses, read_licenses
from captioning.sources.source import RealImage
from workspace.containers import HUB, Tar
from workspace.errors import UsageError
from workspace.hub_access import HubAccess
from workspace.locator import hub_errors, process_reader, split_locator

TAR_SUFFIXES = frozenset([".tar"])


@dataclass(frozen=True)
class WebDataset:
    """Tar archives below a root (a folder, or hf://datasets/ORG/NAME@COMMIT) as a collection; `refused`: the ids of
    members that are no image of their own, with the reason and the same in words."""

    root: str
    ids: Sequence[str]
    refused: Mapping[str, tuple[SkipReason, str]]
    licenses: Licenses = Licenses({})
    columns: Columns = Columns()
    hub: HubAccess = field(default_factory=HubAccess)
    remarks: Sequence[str] = ()

    def image(self, real_id: str) -> RealImage:
        """The image with the captions that have its key, and the licence that its `.json` states."""
        if real_id in self.refused:
            raise UnusableImageError(*self.refused[real_id])
        locator = f"{self.root}/{real_id}"
        captions, row = self._beside(locator)
        within = folder_of(self.root)
        license, redistributable = self.licenses.of(real_id, row)
        return RealImage(real_id, locator, captions.texts, license, redistributable, captions.dropped, within)

    def _beside(self, locator: str) -> tuple[Captions, dict[str, Any]]:
        archive, member = split_locator(locator) or (locator, "")
        keys = dict.fromkeys([member.rpartition(".")[0], _key(member)])
        texts = [text for key in keys if (text := self._read(f"{archive}#{key}.txt")) is not None]
        rows = [json_object(text) for key in keys if (text := self._read(f"{archive}#{key}.json")) is not None]
        row = rows[0] if rows else {}
        return (captions_in_text(texts[0]) if texts else captions_in_row(row, self.columns.caption)), row

    def _read(self, locator: str) -> bytes | None:
        try:
            return process_reader(self.hub).read(locator, folder_of(self.root), CAPTION_BYTES)
        except FileNotFoundError:
            return None


def folder_of(root: str) -> Path | None:
    """The folder in which the containers of a source must be; None on the Hub."""
    return None if root.startswith(HUB) else Path(root)


def read_webdataset(
    root: str, names: Iterable[str], columns: Columns = Columns(), hub: HubAccess = HubAccess()
) -> WebDataset:
    """Open the archives of these names below `root`.

    Raises `UsageError` when one is damaged or none holds images, `HubError` when the Hub does not answer.
    """
    ids: list[str] = []
    refused: dict[str, tuple[SkipReason, str]] = {}
    for name in names:
        for member, why in _images(f"{root}/{name}", folder_of(root), hub):
            ids.append(f"{name}#{member}")
            if why is not None:
                refused[ids[-1]] = why
    if len(refused) == len(ids):
        raise UsageError(f"the tar archives in {root} hold no images (members named .jpg, .png, .webp, ...)")
    folder = folder_of(root)
    return WebDataset(root, sorted(ids), refused, read_licenses(folder) if folder else Licenses({}), columns, hub)


def _images(path: str, within: Path | None, hub: HubAccess) -> Iterator[tuple[str, tuple[SkipReason, str] | None]]:
    """The members with an image's suffix, each with why it is none of its own, if it is not."""
    try:
        with hub_errors(path):
            archive = Tar(path, hub, within)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror}): download it again, or move it out of the source"
        ) from error
    archive.close()
    members = [member for member in archive.members if _has_image_suffix(member)]
    images = {_key(member): member for member in members if _extension(member) in SUFFIXES}
    for member in members:
        if ".." in PurePosixPath(member).parts:
            yield member, ("name", "its name leads out of the archive")
        elif images.get(_key(member), member) != member and _extension(member) not in SUFFIXES:
            yield member, ("field", f"another field of the example whose image is {images[_key(member)]!r}"[:200])
        else:
            yield member, None
    for member, what in archive.irregular.items():
        if _has_image_suffix(member):
            yield member, ("not-a-file", what)


def _key(member: str) -> str:
    folder, slash, name = member.rpartition("/")
    return f"{folder}{slash}{name.partition('.')[0]}"


def _extension(member: str) -> str:
    """All behind the first dot of the name, in lower case."""
    _, dot, extension = member.rpartition("/")[2].partition(".")
    return f"{dot}{extension.lower()}"


def _has_image_suffix(member: str) -> bool:
    parts = [part for part in PurePosixPath(member).parts if part != ".."]
    if not parts or any(part.startswith(".") or part in SYSTEM_FOLDERS for part in parts):
        return False
    return PurePosixPath(member).suffix.lower() in SUFFIXES
