"""Parquet files with a column of images, as `datasets` and img2dataset write them.

The images are in the one column of bytes, or of `datasets`' struct of bytes and path; of several, in the one called
`image`. The captions are in a column of `captions.CAPTION_NAMES`, a text or a list of texts. An image's id is
`train.parquet#row=000000017`, its row counted from 0. Files are read by row group, a few rows at a time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from captioning.sources.captions import caption_name, captions_in_row
from captioning.sources.source import RealImage
from workspace.containers import ParquetImages
from workspace.errors import UsageError
from workspace.locator import process_reader, row_locator, split_locator

PARQUET_SUFFIXES = frozenset([".parquet"])


@dataclass(frozen=True)
class ParquetFiles:
    """Parquet files below a root (a folder, or hf://datasets/ORG/NAME@COMMIT) as a collection."""

    root: str
    ids: Sequence[str]
    caption_columns: Mapping[str, str | None]

    def image(self, real_id: str) -> RealImage:
        """The image with the captions of its row."""
        locator = f"{self.root}/{real_id}"
        inside = split_locator(locator)
        name = real_id.rpartition("#")[0]
        column = self.caption_columns[name]
        if inside is None or column is None:
            return RealImage(real_id, locator)
        row = process_reader().values(inside[0], int(inside[1].removeprefix("row=")), [column])
        return RealImage(real_id, locator, captions_in_row(row))


def read_parquet(root: str, names: Iterable[str]) -> ParquetFiles:
    """Open the files of these names below `root`. Raises `UsageError` when one is damaged or holds no images."""
    ids: list[str] = []
    caption_columns = {}
    for name in names:
        file = _opened(f"{root}/{name}")
        try:
            columns = file.image_columns
            if len(columns) != 1:
                found = f"several columns of bytes ({', '.join(columns)})" if columns else "no column of images"
                raise UsageError(
                    f"{root}/{name} has {found}: a column called image holds the files' bytes, or a struct with them"
                )
            ids.extend(f"{name}#{row_locator(row)}" for row in range(file.rows))
            caption_columns[name] = caption_name(file.columns.names)
        finally:
            file.close()
    if not ids:
        raise UsageError(f"the Parquet files in {root} hold no rows")
    return ParquetFiles(root, sorted(ids), caption_columns)


def holds_images(path: str) -> bool:
    """Whether a Parquet file has a column that may hold images. Raises `UsageError` when it is damaged."""
    file = _opened(path)
    try:
        return bool(file.image_columns)
    finally:
        file.close()


def _opened(path: str) -> ParquetImages:
    try:
        return ParquetImages(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): fetch it again, or move it away") from error
