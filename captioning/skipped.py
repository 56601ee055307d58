"""The skipped table: one row for each real image without a prompt, and why. No image is dropped without a row."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from workspace.layout import Workspace
from workspace.records import column

SkipReason = Literal[
    "missing",  # the file does not exist, or is a link whose target does not exist
    "unreadable",  # the file system does not give it: no permission, input/output error
    "not-a-file",  # a pipe, a socket, a device; in an archive, a link
    "outside",  # a link to a file outside the source
    "name",  # the file name is not UTF-8, so no table can hold it; in an archive, one that leads out of it
    "field",  # in an archive, another field of an example that has an image, such as a mask
    "empty",  # zero bytes
    "not-an-image",  # not in a format that is decoded here
    "too-large",  # more pixels than a photograph has: a decompression bomb
    "broken",  # an image that cannot be decoded completely: truncated or damaged
    "metadata",  # an image whose EXIF, XMP or colour profile stops readers of the published dataset
    "caption",  # the caption generated for the image, or the own prompt of that line, cannot be a prompt
]


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """One real image without a prompt."""

    real_source: str = column(pa.string(), "the data set, by the name given on the command line (coco)")
    real_id: str = column(
        pa.string(), "the image's id, as in the prompts, or the number of an own prompt; bytes not of UTF-8 as \\xNN"
    )
    reason: SkipReason = column(
        pa.string(),
        "why: missing | unreadable | not-a-file | outside | name | field | empty | not-an-image | too-large | broken | "
        "metadata | caption",
    )
    detail: str = column(pa.string(), "the reason in words")


def skipped_name(number: int) -> str:
    """The file name of the skipped rows that belong to a part of prompts: skipped-00000.parquet."""
    return f"skipped-{number:05d}.parquet"


def skipped_parts(workspace: Workspace) -> Iterator[Path]:
    """All files of skipped rows, by source and number."""
    return iter(sorted(workspace.prompts.glob("*/skipped-*.parquet")))
