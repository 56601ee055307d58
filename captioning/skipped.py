"""The skipped table: one row for each real image that gave no prompt, and why. None is ever lost in silence."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from workspace.layout import Workspace
from workspace.records import column

SkipReason = Literal[
    "missing",  # no such file, or a link that leads nowhere
    "unreadable",  # the file system refuses it: permission, input/output error
    "not-a-file",  # a pipe, a socket, a device
    "name",  # its name is not UTF-8, so no table can point at it
    "empty",  # zero bytes
    "not-an-image",  # no format that is decoded here
    "too-large",  # more pixels than a picture has: a decompression bomb
    "broken",  # an image that cannot be decoded to its end: truncated, damaged
    "caption",  # readable, but what the captioner said of it is no prompt
]


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """One real image without a prompt."""

    real_source: str = column(pa.string(), "name of the real data set")
    real_id: str = column(pa.string(), "as in the prompts; bytes that are not UTF-8 as \\xNN")
    reason: SkipReason = column(pa.string(), "why, from the closed set of captioning/skipped.py")
    detail: str = column(pa.string(), "the same for people")


def skipped_name(number: int) -> str:
    """The file name of the skipped rows that belong to a part of prompts: skipped-00000.parquet."""
    return f"skipped-{number:05d}.parquet"


def skipped_parts(workspace: Workspace) -> Iterator[Path]:
    """All files of skipped rows, by source and number."""
    return iter(sorted(workspace.prompts.glob("*/skipped-*.parquet")))
