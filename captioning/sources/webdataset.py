"""Tar archives of images, as WebDataset reads and img2dataset writes them.

    root/
      licenses.json       optional, as of a folder tree; "00000.tar" stands for all images of that archive
      00000.tar           000000000.jpg 000000000.txt 000000000.json 000000001.jpg ...
      00000.parquet       img2dataset's log of the downloads: not read
      00000_stats.json

The members of one example have the same key: the name up to the first dot. The image of an example is the member whose
whole extension is an image's (`a.jpg`); beside it, `a.seg.png` is another field of the example, a mask, and is listed
as skipped. In an example without such a member, a name with dots is just a name (`holiday.2019.jpg`,
`a.image.jpg`). The captions of an image are in the `.txt` or `.caption` of the same name (without its suffix or with
it) or of the same key, or in such a `.json`; of the only image of an example, also in the only other text of it
(`a.caption.txt`). Texts that belong to no image are named in a line. Links and names that lead out of the archive are
listed as skipped.

An image's id is `00000.tar#000000000.jpg`. Archives are scanned once for the names and positions of their members,
which are then read one at a time.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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

#: Suffixes of members with captions, a line each; the first found counts.
_TEXTS = (".txt", ".caption")


@dataclass(frozen=True)
class WebDataset:
    """Tar archives below a root (a folder, or hf://datasets/ORG/NAME@COMMIT) as a collection; `refused`: the ids of
    members that are no image of their own, with the reason and the same in words; `texts`: by id, the member with the
    captions where its name is another one."""

    root: str
    ids: Sequence[str]
    refused: Mapping[str, tuple[SkipReason, str]]
    licenses: Licenses = Licenses({})
    columns: Columns = Columns()
    hub: HubAccess = field(default_factory=HubAccess)
    remarks: Sequence[str] = ()
    texts: Mapping[str, str] = field(default_factory=dict)

    def image(self, real_id: str) -> RealImage:
        """The image with the captions that have its key, and the licence that its `.json` states."""
        if real_id in self.refused:
            raise UnusableImageError(*self.refused[real_id])
        locator = f"{self.root}/{real_id}"
        captions, row = self._beside(locator, self.texts.get(real_id))
        within = folder_of(self.root)
        license, redistributable = self.licenses.of(real_id, row)
        return RealImage(real_id, locator, captions.texts, license, redistributable, captions.dropped, within)

    def _beside(self, locator: str, other: str | None) -> tuple[Captions, dict[str, Any]]:
        archive, member = split_locator(locator) or (locator, "")
        names = [*_texts_of(member), *([other] if other is not None else [])]
        texts = (text for name in names if (text := self._read(f"{archive}#{name}")) is not None)
        rows = (found for name in _stems(member) if (found := self._read(f"{archive}#{name}.json")) is not None)
        text, row = next(texts, None), json_object(next(rows, b"{}"))
        return (captions_in_text(text) if text is not None else captions_in_row(row, self.columns.caption)), row

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
    texts: dict[str, str] = {}
    unread: list[str] = []
    replaced: list[str] = []
    for name in names:
        archive = _open(f"{root}/{name}", folder_of(root), hub)
        images = []
        for member, why in _images(archive):
            ids.append(f"{name}#{member}")
            if why is None:
                images.append(member)
            else:
                refused[ids[-1]] = why
        found, others = _other_texts(archive.members, images)
        texts |= {f"{name}#{member}": text for member, text in found.items()}
        unread += [f"{name}#{text}" for text in others]
        replaced += [f"{name}#{member}" for member in archive.replaced if _has_image_suffix(member)]
    if len(refused) == len(ids):
        what = "members named .jpg, .png, .webp, ..."
        if refused:
            real_id = min(refused)
            what = f"none that can be read, such as {real_id!r}: {refused[real_id][1]}"
        raise UsageError(f"the tar archives in {root} hold no images ({what})")
    folder = folder_of(root)
    remarks = []
    if unread:
        remarks.append(f"texts with the name of no image are not read: {len(unread)}, such as {unread[0]!r}")
    if replaced:
        remarks.append(
            f"images with the name of a later one in their archive are not read, as if it were unpacked: "
            f"{len(replaced)}, such as {replaced[0]!r}"
        )
    licenses = read_licenses(folder) if folder else Licenses({})
    remarks += filter(None, [licenses.unused(ids)])
    return WebDataset(root, sorted(ids), refused, licenses, columns, hub, remarks, texts)


def _open(path: str, within: Path | None, hub: HubAccess) -> Tar:
    """An archive, closed again: the names of its members are known."""
    try:
        with hub_errors(path):
            archive = Tar(path, hub, within)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror}): download it again, or move it out of the source"
        ) from error
    archive.close()
    return archive


def _images(archive: Tar) -> Iterator[tuple[str, tuple[SkipReason, str] | None]]:
    """The members with an image's suffix, each with why it is none of its own, if it is not."""
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


def _other_texts(members: Collection[str], images: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The texts that have the name of no image: those that are the only text of the only image of their key, by that
    image, and the others."""
    claimed = {text for image in images for text in _texts_of(image)}
    texts = [name for name in members if name.lower().endswith(_TEXTS) and name not in claimed and _is_listed(name)]
    of_key = {_key(image): image for image in images}
    images_of_key, texts_of_key = Counter(map(_key, images)), Counter(map(_key, texts))
    found: dict[str, str] = {}
    others: list[str] = []
    for text in texts:
        key = _key(text)
        alone = images_of_key[key] == texts_of_key[key] == 1
        if alone and not any(own in members for own in _texts_of(of_key[key])):
            found[of_key[key]] = text
        else:
            others.append(text)
    return found, others


def _stems(member: str) -> list[str]:
    """What the names of a member's captions begin with."""
    return list(dict.fromkeys([member.rpartition(".")[0], member, _key(member)]))


def _texts_of(member: str) -> list[str]:
    return [f"{stem}{suffix}" for suffix in _TEXTS for stem in _stems(member)]


def _key(member: str) -> str:
    folder, slash, name = member.rpartition("/")
    return f"{folder}{slash}{name.partition('.')[0]}"


def _extension(member: str) -> str:
    """All behind the first dot of the name, in lower case."""
    _, dot, extension = member.rpartition("/")[2].partition(".")
    return f"{dot}{extension.lower()}"


def _has_image_suffix(member: str) -> bool:
    return _is_listed(member) and PurePosixPath(member).suffix.lower() in SUFFIXES


def _is_listed(member: str) -> bool:
    """Whether a member is one of the data set's: no hidden file, and none that a system added."""
    parts = [part for part in PurePosixPath(member).parts if part != ".."]
    return bool(parts) and not any(part.startswith(".") or part in SYSTEM_FOLDERS for part in parts)
