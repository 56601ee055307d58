"""Encoders: processes with limits that decode strangers' images and encode them anew (`encoding_process`)."""

import dataclasses
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, Self

from captioning.formats import REAL_FORMATS
from manifests.exporting.variants import Variant
from workspace.errors import CommunityForensicsError
from workspace.limited.pool import Pool
from workspace.limited.process import LimitError, Limits, LostError

#: What the variants of one image may take: several times what the largest image takes in the slowest format.
LIMITS = Limits(processor=120, clock=900, memory=4 << 30, answer=2 << 30)
_MODULE = "manifests.exporting.encoding_process"
_SIGNATURES = {"png": b"\x89PNG\r\n\x1a\n", "jpg": b"\xff\xd8\xff"}


class Encoders:
    """Processes that encode variants; a context manager that ends them. Threads share it."""

    def __init__(self, processes: int) -> None:
        self._pool = Pool(_MODULE, LIMITS, processes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def encode(self, path: str, content: bytes, variants: Sequence[Variant]) -> list[bytes]:
        """The files of the variants of an image; `path` is for the message.

        Raises `CommunityForensicsError` for an image that cannot be decoded, or not be encoded so.
        """
        message = {"formats": REAL_FORMATS, "variants": [dataclasses.asdict(variant) for variant in variants]}
        try:
            answer, files = self._pool.ask(
                message, lambda answer, body: (answer, _files(answer, body, variants)), content
            )
        except (LostError, LimitError) as error:
            raise _cannot(path, f"the process that decodes it {error}") from error
        if "unusable" in answer:
            raise _cannot(path, str(answer["unusable"])[:200])
        return files


def _files(answer: dict[str, Any], body: bytes, variants: Sequence[Variant]) -> list[bytes]:
    """The files that a process sent, none where it could not make them; `ValueError` for an answer that is wrong."""
    if "unusable" in answer:
        return []
    sizes = answer.get("sizes")
    if (
        not isinstance(sizes, list)
        or len(sizes) != len(variants)
        or not all(isinstance(size, int) and size > 0 for size in sizes)
        or sum(sizes) != len(body)
    ):
        raise ValueError("sizes or files that were not asked for")
    files = [body[start:end] for start, end in pairwise([0, *accumulate(sizes)])]
    for file, variant in zip(files, variants, strict=True):
        if not file.startswith(_SIGNATURES[variant.extension]):
            raise ValueError("sizes or files that were not asked for")
    return files


def _cannot(path: str, why: str) -> CommunityForensicsError:
    return CommunityForensicsError(
        f"{path} cannot be encoded anew ({why}): leave out --jpeg, or make it smaller with --resize, and name another "
        "folder"
    )
