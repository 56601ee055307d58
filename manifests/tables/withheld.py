"""The real images that a public edition speaks of and does not have: what they are, so that who has them finds them."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from manifests.manifest import CaptionOrigin, Split, check_built_by_this_version
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.records import column

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_READ = ("real_sha256", "real_id", "split", "width", "height")


@dataclass(frozen=True, kw_only=True)
class WithheldRow:
    """One real image that may not be passed on, or of which nobody knows whether it may."""

    real_source: str = column(pa.string(), "data set it is in, by the name that the manifest's builder gave it")
    real_title: str = column(pa.string(), "published name of that data set: COCO, FFHQ, ...")
    real_id: str = column(pa.string(), "its id in its data set")
    real_sha256: str = column(pa.string(), "of its file")
    format: str = column(pa.string(), "as decoded: JPEG, PNG, ...")
    mode: str | None = column(pa.string(), "as its file has it: RGB, L, CMYK, P, ...", default=None)
    width: int = column(pa.int32(), "pixels")
    height: int = column(pa.int32(), "pixels")
    license: str | None = column(pa.string(), "of the real image; null: unknown", default=None)
    license_link: str | None = column(
        pa.string(), "where its data set says so, or is to be had; null: not one of the known ones", default=None
    )
    redistributable: bool | None = column(
        pa.bool_(), "whether it may be passed on: it may not, or (null) nobody knows", default=None
    )
    split: Split | None = column(pa.string(), "train | test; null: in neither, as in the manifest", default=None)
    prompt: str = column(pa.string(), "its caption")
    caption_origin: CaptionOrigin = column(
        pa.string(), "dataset: the real data set's own caption | generated: by the captioner"
    )
    captioner: str | None = column(pa.string(), "model@revision, for generated captions", default=None)


def withheld_path(workspace: Workspace) -> Path:
    """Where the list of a public edition lies."""
    return workspace.manifest / "withheld.parquet"


def existing_list(workspace: Workspace) -> Path | None:
    """The list of a public edition; None: the manifest is that of a full one. Raises `UsageError` for a list that
    another version wrote."""
    path = withheld_path(workspace)
    if not path.exists():
        return None
    check_built_by_this_version(path, WithheldRow)
    return path


def read_wanted(path: Path) -> dict[str, str]:
    """The ids (`real_id`) by sha256 of the published images of a list that came with a download.

    Raises `UsageError` when it is not one that this version wrote: who published it is a stranger.
    """
    wanted: dict[str, str] = {}
    records.read_table(path, WithheldRow, columns=[])
    with records.reading(path), pq.ParquetFile(path) as file:
        for batch in file.iter_batches():
            batch.validate(full=True)
            rows = batch.filter(pc.is_valid(batch.column("split")))
            for sha256, real_id, split, *size in zip(*(rows.column(name).to_pylist() for name in _READ), strict=True):
                if not _SHA256.fullmatch(sha256) or split not in get_args(Split) or min(size) < 1:
                    raise UsageError(f"{path} speaks of no image in the row of {real_id[:80]!r}")
                wanted[sha256] = real_id
    return wanted
