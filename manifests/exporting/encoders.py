"""Encoders: processes with limits that decode strangers' images and encode them anew (`encoding_process`)."""

import dataclasses
import os
from collections.abc import Sequence
from itertools import accumulate, pairwise
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from captioning.prompt import REAL_FORMATS
from manifests.exporting.variants import Variant
from workspace.errors import CommunityForensicsError
from workspace.limited.process import LimitedProcess, LimitError, Limits, LostError

#: What the variants of one image may take: several times what the largest image takes in the slowest format.
LIMITS = Limits(processor=120, clock=900, memory=4 << 30, answer=2 << 30)
_MODULE = "manifests.exporting.encoding_process"
_MOST = 16
#: Processes in which an image is tried: one may be killed by accident.
_ATTEMPTS = 2
_SIGNATURES = {"png": b"\x89PNG\r\n\x1a\n", "jpg": b"\xff\xd8\xff"}


def default_processes() -> int:
    """One for each core that this process may use, `_MOST` at most."""
    return min(len(os.sched_getaffinity(0)), _MOST)


class Encoders:
    """Processes that encode variants, started when first needed; a context manager that ends them. Threads share it."""

    def __init__(self, processes: int) -> None:
        self._idle: SimpleQueue[LimitedProcess | None] = SimpleQueue()
        self._started: list[LimitedProcess] = []
        for _ in range(processes):
            self._idle.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for process in self._started:
            process.close()

    def encode(self, path: str, content: bytes, variants: Sequence[Variant]) -> list[bytes]:
        """The files of the variants of an image; `path` is for the message.

        Raises `CommunityForensicsError` for an image that cannot be decoded, or not be encoded so.
        """
        message = {"formats": REAL_FORMATS, "variants": [dataclasses.asdict(variant) for variant in variants]}
        how = ""
        for _ in range(_ATTEMPTS):
            process = self._idle.get()
            try:
                if process is None or not process.usable:
                    process = LimitedProcess(_MODULE, LIMITS)
                    self._started.append(process)
                answer, body = process.ask(message, content)
                if "unusable" in answer:
                    raise _cannot(path, str(answer["unusable"])[:200])
                return _checked(answer.get("sizes"), body, variants)
            except LostError as error:
                how = f"the process that decodes it {error}"
            except LimitError as error:
                raise _cannot(path, f"the process that decodes it {error}") from error
            finally:
                self._idle.put(process)
        raise _cannot(path, how)


def _checked(sizes: object, body: bytes, variants: Sequence[Variant]) -> list[bytes]:
    """The files that a process sent, which may be wrong in any way."""
    if (
        not isinstance(sizes, list)
        or len(sizes) != len(variants)
        or not all(isinstance(size, int) and size > 0 for size in sizes)
        or sum(sizes) != len(body)
    ):
        raise LostError("sent an answer that makes no sense")
    files = [body[start:end] for start, end in pairwise([0, *accumulate(sizes)])]
    for file, variant in zip(files, variants, strict=True):
        if not file.startswith(_SIGNATURES[variant.extension]):
            raise LostError("sent an answer that makes no sense")
    return files


def _cannot(path: str, why: str) -> CommunityForensicsError:
    return CommunityForensicsError(
        f"{path} cannot be encoded anew ({why}): leave out --jpeg, or make it smaller with --resize, and name another "
        "folder"
    )
