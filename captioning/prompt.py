"""The prompt: one caption of one real image."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace, parts_below
from workspace.records import column

#: Pillow's names of the formats that a real image may have, so that no file starts another program; the multi-picture
#: JPEGs of cameras (MPO) come with JPEG.
REAL_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One caption of one real image, and where that image is."""

    prompt_id: str = column(pa.string(), "<real_source>/<real_id>: unique in the workspace")
    prompt: str = column(pa.string(), "the caption, cleaned (captioning/cleaning.py)")
    real_source: str = column(pa.string(), "name of the real data set, as the user calls it")
    real_title: str = column(
        pa.string(), "the same as the published dataset spells it (COCO), where it is one of those"
    )
    real_id: str = column(pa.string(), "the image's id in its data set: its path below the source's root, or a locator")
    real_path: str = column(
        pa.string(), "where its bytes are on the machine that captioned it: a file, or a locator (workspace/locator.py)"
    )
    real_sha256: str = column(pa.string(), "of the file as it is")
    real_format: str = column(pa.string(), "as decoded: JPEG, PNG, ...")
    real_width: int = column(pa.int32(), "pixels, as stored")
    real_height: int = column(pa.int32(), "pixels, as stored")
    real_mode: str | None = column(pa.string(), "as decoded: RGB, L, CMYK, P, I;16, ...", default=None)
    caption_origin: Literal["dataset", "blip"] = column(pa.string(), "dataset: the data set's own | blip: generated")
    captions: tuple[str, ...] = column(
        pa.list_(pa.string()), "all captions the data set has for it, as they stand there", default=()
    )
    captioner: str | None = column(
        pa.string(), "model@revision, for generated captions; (lavis): by that back end", default=None
    )
    license: str | None = column(pa.string(), "of the real image; null: unknown", default=None)
    license_link: str | None = column(
        pa.string(), "where its data set says so, or is to be had; null: not one of the known ones", default=None
    )
    redistributable: bool | None = column(
        pa.bool_(), "whether the real image may be passed on; null: unknown", default=None
    )


def prompt_parts(workspace: Workspace) -> list[Path]:
    """All prompt parts, by source and number; none before captioning."""
    return parts_below(workspace.prompts)


def read_prompts(workspace: Workspace) -> list[Prompt]:
    """All prompts, by source, then in the order of their parts. Raises `UsageError` when there are none yet."""
    parts = prompt_parts(workspace)
    if not parts:
        raise UsageError(f"{workspace.prompts} holds no prompts: run `cf-caption` first")
    return [prompt for part in parts for prompt in records.read(part, Prompt)]
