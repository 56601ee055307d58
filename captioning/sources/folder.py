"""A folder tree of images, each with or without captions in files beside it.

    root/
      licenses.json     optional: {"a.jpg": {"license": "cc0-1.0", "redistributable": true}, "*": {"license": null}}
      metadata.jsonl    optional: the captions of many images; also metadata.csv, captions.txt (`caption_tables`)
      a.jpg  a.txt      an image and its captions, one a line; also a.caption, a.jpg.txt, a.json (`side_files`)
      any/depth/b.png   an image without a caption

A file is listed as an image when its suffix, in upper or lower case, is in `SUFFIXES`; one that turns out not to be an
image is reported when it is decoded. Hidden files and folders (names that start with a dot, such as macOS's `._a.jpg`)
and folders that systems add (`__MACOSX`) are skipped. Links are followed inside the root: a linked image that lies
outside is reported, a linked folder refused. A folder linked into itself is read once.
"""

import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from captioning.images import RAW_SUFFIXES
from captioning.sources.caption_tables import CaptionTables, is_caption_table, is_other_table, parquet_table
from captioning.sources.columns import Columns
from captioning.sources.licenses import LICENSES_FILE, Licenses, read_licenses
from captioning.sources.side_files import SIDE_SUFFIXES, captions_beside, side_suffix
from captioning.sources.source import RealImage
from workspace.errors import UsageError
from workspace.folder_tree import EntangledError, is_folder, paths_below
from workspace.regular_file import is_below, open_regular

SUFFIXES = frozenset(
    [
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".avif"),
        *(".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".mpo"),
        *(".heic", ".heif", ".jxl", *RAW_SUFFIXES),
    ]
)
"""Suffixes of image files, in lower case; files with those of the last row are reported, not decoded."""

#: JSON files that have no captions: the licences, and what img2dataset counts.
_NO_CAPTIONS = re.compile(rf"{re.escape(LICENSES_FILE)}|\d+_stats\.json")

SYSTEM_FOLDERS = frozenset(["__MACOSX", "@eaDir", "$RECYCLE.BIN", "lost+found"])
"""Folders that archivers, network storage and file systems add; their files are not part of the data set."""


@dataclass
class Listing:
    """What a folder tree holds, by paths below its root: images, and files with captions."""

    ids: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    side_suffixes: set[str] = field(default_factory=set)
    other_tables: list[str] = field(default_factory=list)
    """Tables with other names than those of captions."""
    other_texts: list[str] = field(default_factory=list)
    """Those that may be captions, and have the name of no image in their folder."""


@dataclass(frozen=True)
class Folder:
    """A folder tree as a collection. `remarks`: files with captions that were not understood."""

    root: Path
    ids: Sequence[str]
    licenses: Licenses = Licenses({})
    side_suffixes: Sequence[str] = ()
    tables: CaptionTables = field(default_factory=CaptionTables)
    columns: Columns = Columns()

    @property
    def remarks(self) -> Sequence[str]:
        """What was not understood, a line each."""
        return self.tables.remarks

    def image(self, real_id: str) -> RealImage:
        """The image with its captions and its licence. Raises `OSError` when a file beside it cannot be read."""
        path = self.root / real_id
        row = self.tables.rows.get(real_id)
        if row is not None and row.captions.texts:
            captions, stated = row.captions, row.license
        else:
            captions, stated = captions_beside(path, self.root, self.side_suffixes, self.columns.caption)
            if row is not None:
                captions, stated = row.captions + captions, {**stated, **row.license}
        return RealImage(
            real_id, path, captions.texts, *self.licenses.of(real_id, stated), captions.dropped, within=self.root
        )


def read_folder(root: Path, columns: Columns = Columns()) -> Folder:
    """Open `root` as a folder tree. Raises `UsageError` when it holds no image, or a file beside them is invalid."""
    listing = list_folder(root)
    if not listing.ids:
        raise UsageError(f"{root} holds no images: no file in it has an image's suffix (.jpg, .png, .webp, ...)")
    folder = open_folder(root, listing, columns)
    if texts := listing.other_texts:
        line = f"texts with the name of no image are not read: {len(texts)}, such as {texts[0]!r}"
        folder.tables.remarks.append(line)
    return folder


def open_folder(root: Path, listing: Listing, columns: Columns = Columns()) -> Folder:
    """The images of a listing as a collection. Raises `UsageError` when a file beside them is invalid."""
    tables = CaptionTables()
    adding = [(name, tables.add_other) for name in sorted(listing.other_tables)]
    adding += [(name, tables.add) for name in sorted(listing.tables)]
    for name, add in adding:
        try:
            is_parquet = name.lower().endswith(".parquet")
            with parquet_table(f"{root}/{name}", root) if is_parquet else open_regular(root / name, root) as file:
                add(name, file, listing.ids, columns)
        except OSError as error:
            raise UsageError(f"{root / name} cannot be read ({error.strerror}): move it out of the source") from error
    tables.remark_on_others()
    suffixes = sorted(listing.side_suffixes, key=lambda suffix: (SIDE_SUFFIXES.index(suffix.lower()), suffix))
    licenses = read_licenses(root)
    tables.remarks += filter(None, [licenses.unused(listing.ids)])
    return Folder(root, listing.ids, licenses, suffixes, tables, columns)


def list_folder(root: Path) -> Listing:
    """All images below `root`, sorted, and the files with captions. Raises `UsageError` as `image_ids`."""
    listing = Listing()
    for path in _files(root):
        name = PurePath(path).name
        if _suffix(name) in SUFFIXES:
            listing.ids.append(path)
        elif (suffix := side_suffix(name)) is not None:
            listing.side_suffixes.add(suffix)
        if is_caption_table(name):
            listing.tables.append(path)
        elif is_other_table(name):
            listing.other_tables.append(path)
        elif side_suffix(name) is not None and not _NO_CAPTIONS.fullmatch(name):
            listing.other_texts.append(path)
    listing.ids.sort()
    names = {name for real_id in listing.ids for name in (real_id, real_id.rpartition(".")[0])}
    listing.other_texts = sorted(path for path in listing.other_texts if path.rpartition(".")[0] not in names)
    return listing


def image_ids(root: Path, suffixes: Collection[str] = SUFFIXES) -> Iterator[str]:
    """The ids of all files below `root` with one of the suffixes, in no order.

    Raises `UsageError` for a folder that cannot be read, and for a link to a folder outside `root`.
    """
    return (path for path in _files(root) if _suffix(path) in suffixes)


def every_file(root: Path) -> Iterator[str]:
    """The ids of all files below `root`, in no order; errors as `image_ids`."""
    return _files(root)


def _suffix(name: str) -> str:
    return PurePath(name).suffix.lower()


def _files(root: Path) -> Iterator[str]:
    """The paths of the files below a root."""

    def wanted(entry: os.DirEntry[str]) -> bool:
        if entry.name.startswith(".") or entry.name in SYSTEM_FOLDERS:
            return False
        if entry.is_symlink() and is_folder(entry) and not is_below(Path(entry.path).resolve(), root):
            raise UsageError(
                f"{entry.path} is a link to a folder outside the source: give the folder that holds both as the "
                "source, or remove the link"
            )
        return True

    try:
        yield from paths_below(root, wanted, follow=True)
    except EntangledError as error:
        raise UsageError(f"{root} cannot be read ({error.strerror}): remove links, or name a folder in it") from error
    except OSError as error:
        raise UsageError(
            f"{error.filename} cannot be read ({error.strerror}): change its permissions, or move it out of the source"
        ) from error
