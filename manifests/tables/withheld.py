"""The list of withheld real images: those that a public edition names but does not contain.

Their sha256 is in it, so that readers who have their data sets can complete the edition.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crawler.holdout import Split
from manifests.manifest import TEXTS, CaptionOrigin, check_version
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.records import column

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_COLUMNS = ("real_sha256", "real_id", "split", "width", "height")


@dataclass(frozen=True, kw_only=True)
class WithheldRow:
    """One real image that may not be passed on, or of which it is unknown whether it may."""

    real_source: str = column(pa.string(), "data set it is in, by the name that the manifest's builder gave it")
    real_title: str = column(pa.string(), "published name of that data set: COCO, FFHQ, ...")
    real_id: str = column(pa.string(), "its id in its data set")
    real_sha256: str = column(pa.string(), "of its file")
    format: str = column(pa.string(), "as decoded: JPEG, PNG, ...")
    mode: str | None = column(pa.string(), "as its file has it: RGB, L, CMYK, P, ...", default=None)
    width: int = column(pa.int32(), "pixels")
    height: int = column(pa.int32(), "pixels")
    file_size: int | None = column(pa.int64(), "of its file, bytes; null: unknown", default=None)
    jpeg_quality: int | None = column(
        pa.int32(), "1 to 100, estimated from the quantisation tables; null: no JPEG", default=None
    )
    chroma_subsampling: str | None = column(
        pa.string(), "of a JPEG: 4:4:4, 4:2:2, 4:2:0, ...; 4:0:0 for grey; null: no JPEG", default=None
    )
    progressive: bool | None = column(pa.bool_(), "whether a JPEG is progressive; null: no JPEG", default=None)
    has_exif: bool | None = column(pa.bool_(), "whether its file has EXIF data; null: unknown", default=None)
    has_icc: bool | None = column(pa.bool_(), "whether its file has a colour profile; null: unknown", default=None)
    license: str | None = column(pa.string(), "of the real image; null: unknown", default=None)
    license_link: str | None = column(
        pa.string(), "where its data set states that, or can be downloaded; null: unknown", default=None
    )
    redistributable: bool | None = column(
        pa.bool_(), "whether it may be passed on: false, or null: unknown", default=None
    )
    split: Split | None = column(
        pa.string(), "train | validation | test; null: in none, as in the manifest", default=None
    )
    prompted: bool = column(
        pa.bool_(), "whether its caption was the prompt of a generated image of that round or of one before"
    )
    round: int = column(pa.int32(), "round of the workspace in which it joined the dataset, from 1")
    also_in: tuple[str, ...] | None = column(
        TEXTS, "<real_source>/<real_id> of the other real images with the same sha256; null: none", default=None
    )
    prompt: str = column(pa.string(), "its caption")
    caption_origin: CaptionOrigin = column(
        pa.string(),
        "dataset: the real data set's own caption | generated: by the captioner | user: of a file of prompts",
    )
    captioner: str | None = column(pa.string(), "model@revision, for generated captions", default=None)


def withheld_path(workspace: Workspace) -> Path:
    """The list of a public edition."""
    return workspace.manifest / "withheld.parquet"


def existing_list(workspace: Workspace) -> Path | None:
    """The list of a public edition; None: the manifest is that of a full one. Raises `UsageError` for a list that
    another version wrote."""
    path = withheld_path(workspace)
    if not path.exists():
        return None
    check_version(path, WithheldRow)
    return path


def read_listed(path: Path) -> dict[str, str]:
    """The ids (`real_id`) by sha256 of the published images in the list of a download.

    Its author is unknown: raises `UsageError` for a list of another version, or with values that no version writes.
    """
    listed: dict[str, str] = {}
    check_version(path, WithheldRow, "use the one that the dataset's README.md names")
    with records.reading(path), pq.ParquetFile(path) as file:
        for batch in file.iter_batches():
            batch.validate(full=True)
            rows = batch.filter(pc.is_valid(batch.column("split")))
            for sha256, real_id, split, *size in zip(
                *(rows.column(name).to_pylist() for name in _COLUMNS), strict=True
            ):
                if not _SHA256.fullmatch(sha256) or split not in get_args(Split) or min(size) < 1:
                    raise UsageError(
                        f"{path} has an invalid sha256, split or size in the row of {real_id[:80]!r}: do not use this "
                        "dataset, or download it again"
                    )
                listed[sha256] = real_id
    return listed
