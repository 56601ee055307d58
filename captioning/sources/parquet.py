"""Parquet files with a column of images, as `datasets` and img2dataset write them.

The images are in the only column of bytes, or of `datasets`' struct of bytes and path, or of lists of one of these; if
there are several, in the one named `image`. A column of text may hold them too, as base64 or as paths below the folder
of the file, if it is named `image`, or by `--image-column`. The captions are in a column of `captions.CAPTION_NAMES`, a
text or a list of texts; the licence in a column `license`. `licenses.json` beside the files is read as that of a folder
tree. An image's id is `train.parquet#row=000000017`, with rows counted from 0; where the user named the column,
`train.parquet#row=000000017,column=photo`. Files are read by row group, a few rows at a time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from captioning.sources.captions import caption_name, captions_in_row
from captioning.sources.columns import Columns
from captioning.sources.licenses import LICENSE_COLUMNS, Licenses, read_licenses
from captioning.sources.source import RealImage
from captioning.sources.webdataset import folder_of
from workspace.containers import ParquetImages
from workspace.errors import UsageError
from workspace.hub_access import HubAccess
from workspace.locator import hub_errors, process_reader, row_and_column, row_locator, split_locator

PARQUET_SUFFIXES = frozenset([".parquet"])


@dataclass(frozen=True)
class ParquetFiles:
    """Parquet files below a root (a folder, or hf://datasets/ORG/NAME@COMMIT) as a collection; `stating`: by file, the
    column of the captions (None: none), and those of the licence."""

    root: str
    ids: Sequence[str]
    stating: Mapping[str, tuple[str | None, Sequence[str]]]
    licenses: Licenses = Licenses({})
    remarks: Sequence[str] = ()
    hub: HubAccess = field(default_factory=HubAccess)

    def image(self, real_id: str) -> RealImage:
        """The image with the captions and the licence of its row."""
        locator, within = f"{self.root}/{real_id}", folder_of(self.root)
        caption, licenses = self.stating[real_id.rpartition("#")[0]]
        wanted = [*([caption] if caption is not None else []), *licenses]
        values: dict[str, Any] = {}
        path, inside = split_locator(locator) or (locator, "")
        if wanted and inside:
            values = process_reader(self.hub).values(path, row_and_column(inside)[0], wanted, within)
        said = captions_in_row(values, caption)
        license, redistributable = self.licenses.of(real_id, values)
        return RealImage(real_id, locator, said.texts, license, redistributable, said.dropped, within)


def read_parquet(
    root: str, names: Iterable[str], columns: Columns = Columns(), hub: HubAccess = HubAccess()
) -> ParquetFiles:
    """Open the files of these names below `root`.

    Raises `UsageError` when one is damaged, holds no images or lacks a column that the user named, `HubError` when the
    Hub does not answer.
    """
    ids: list[str] = []
    stating: dict[str, tuple[str | None, Sequence[str]]] = {}
    unread: dict[str, Sequence[str]] = {}
    for name in names:
        file = _open(f"{root}/{name}", folder_of(root), hub)
        file.close()
        _check(f"{root}/{name}", file, columns)
        ids.extend(f"{name}#{row_locator(row, columns.image)}" for row in range(file.rows))
        caption = caption_name(file.columns, columns.caption)
        stating[name] = caption, [column for column in file.columns if column.lower() in LICENSE_COLUMNS]
        others = [text for text in file.text_columns if text not in (*file.image_columns, *stating[name][1])]
        if caption is None and others:
            unread[name] = others
    if not ids:
        raise UsageError(f"the Parquet files in {root} have no rows")
    remarks = []
    if unread:
        name, texts = next(iter(unread.items()))
        remarks = [
            f"no column with a known name of captions: {len(unread)} of {len(stating)} Parquet files, such as "
            f"{name!r}, with text in {', '.join(map(repr, texts[:9]))}: --caption-column names the one with captions"
        ]
    folder = folder_of(root)
    licenses = read_licenses(folder) if folder else Licenses({})
    remarks += filter(None, [licenses.unused(ids)])
    return ParquetFiles(root, sorted(ids), stating, licenses, remarks, hub)


def holds_images(path: str, within: Path, columns: Columns = Columns()) -> bool:
    """Whether a Parquet file has a column that may hold images. Raises `UsageError` when it is damaged."""
    file = _open(path, within, HubAccess())
    file.close()
    return bool(file.image_columns) or columns.image in file.columns


def names_files(path: str, within: Path, columns: Columns = Columns()) -> bool:
    """Whether the images of a Parquet file are paths of files beside it. Raises `UsageError` when it is damaged."""
    file = _open(path, within, HubAccess())
    try:
        return file.names_files(columns.image)
    finally:
        file.close()


def _check(path: str, file: ParquetImages, columns: Columns) -> None:
    for option, wanted in (("--image-column", columns.image), ("--caption-column", columns.caption)):
        if wanted is not None and wanted not in file.columns:
            raise UsageError(f"{path} has no column {wanted!r} ({option}); it has {', '.join(file.columns)}")
    found = file.image_columns
    if columns.image is None and len(found) != 1:
        what = f"several columns of bytes ({', '.join(found)})" if found else "no column of images"
        raise UsageError(
            f"{path} has {what}: name the column with --image-column; it must hold bytes, structs with bytes, base64 "
            "or paths"
        )


def _open(path: str, within: Path | None, hub: HubAccess) -> ParquetImages:
    try:
        with hub_errors(path):
            return ParquetImages(path, hub, within)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror}): download it again, or move it out of the source"
        ) from error
