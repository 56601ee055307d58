"""Parquet files with a column of images, as `datasets` and img2dataset write them.

The images are in the only column of bytes, or of `datasets`' struct of bytes and path; if there are several, in the one
named `image`. The captions are in a column of `captions.CAPTION_NAMES`, a text or a list of texts. An image's id is
`train.parquet#row=000000017`, with rows counted from 0. Files are read by row group, a few rows at a time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from captioning.sources.captions import caption_name, captions_in_row
from captioning.sources.source import RealImage
from workspace.containers import ParquetImages
from workspace.errors import UsageError
from workspace.hub_access import HubAccess
from workspace.locator import hub_errors, process_reader, row_locator, split_locator

PARQUET_SUFFIXES = frozenset([".parquet"])


@dataclass(frozen=True)
class ParquetFiles:
    """Parquet files below a root (a folder, or hf://datasets/ORG/NAME@COMMIT) as a collection."""

    root: str
    ids: Sequence[str]
    caption_columns: Mapping[str, str | None]
    hub: HubAccess = field(default_factory=HubAccess)

    def image(self, real_id: str) -> RealImage:
        """The image with the captions of its row."""
        locator = f"{self.root}/{real_id}"
        row_in_file = split_locator(locator)
        column = self.caption_columns[real_id.rpartition("#")[0]]
        if row_in_file is None or column is None:
            return RealImage(real_id, locator)
        path, row = row_in_file
        values = process_reader(self.hub).values(path, int(row.removeprefix("row=")), [column])
        return RealImage(real_id, locator, captions_in_row(values))


def read_parquet(root: str, names: Iterable[str], hub: HubAccess = HubAccess()) -> ParquetFiles:
    """Open the files of these names below `root`.

    Raises `UsageError` when one is damaged or holds no images, `HubError` when the Hub does not answer.
    """
    ids: list[str] = []
    caption_columns = {}
    for name in names:
        file = _open(f"{root}/{name}", hub)
        try:
            columns = file.image_columns
            if len(columns) != 1:
                found = f"several columns of bytes ({', '.join(columns)})" if columns else "no column of images"
                raise UsageError(
                    f"{root}/{name} has {found}: images must be in one column named image, of bytes or of a struct "
                    "with bytes"
                )
            ids.extend(f"{name}#{row_locator(row)}" for row in range(file.rows))
            caption_columns[name] = caption_name(file.columns)
        finally:
            file.close()
    if not ids:
        raise UsageError(f"the Parquet files in {root} have no rows")
    return ParquetFiles(root, sorted(ids), caption_columns, hub)


def holds_images(path: str) -> bool:
    """Whether a Parquet file has a column that may hold images. Raises `UsageError` when it is damaged."""
    file = _open(path, HubAccess())
    try:
        return bool(file.image_columns)
    finally:
        file.close()


def _open(path: str, hub: HubAccess) -> ParquetImages:
    try:
        with hub_errors(path):
            return ParquetImages(path, hub)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror}): download it again, or move it out of the source"
        ) from error
