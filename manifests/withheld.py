"""The real images that a public edition speaks of and does not have: what they are, so that who has them finds them."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from manifests.manifest import Split
from workspace.layout import Workspace
from workspace.records import column


@dataclass(frozen=True, kw_only=True)
class WithheldRow:
    """One real image that may not be passed on, or of which nobody knows whether it may."""

    real_source: str = column(pa.string(), "data set it is in, as the manifest spells it: COCO, FFHQ, ...")
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
    caption_origin: str = column(pa.string(), "dataset: the real data set's own caption | blip: generated")
    captioner: str | None = column(pa.string(), "model@revision, for generated captions", default=None)


def withheld_path(workspace: Workspace) -> Path:
    """Where the list of a public edition lies."""
    return workspace.manifest / "withheld.parquet"
