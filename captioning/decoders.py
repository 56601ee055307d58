"""Decoders: processes that decode images ahead of the captioner, and return them in order.

    jobs -> [thread + process] x workers -> results in the order of the jobs -> batches

Image files are untrusted, and a defect in the C code that decodes them may end the process or run code in it. So they
are decoded in processes of their own (`workspace/limited`), which have no token, no network and no path: this process
opens the file and passes it on. They may use `LIMITS` for an image, and answer with JSON and pixels: data that can be
wrong but cannot run. An image with which two processes ended, or that took more than the limits, is broken.
"""

import dataclasses
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any, get_args

import numpy as np

from captioning.compression import Compression
from captioning.decoding import Decoded, DecodeResult, Job, Key, Unusable
from captioning.formats import REAL_FORMATS
from captioning.images import MAX_BYTES, ImageFacts, UnusableImageError, open_image
from captioning.skipped import SkipReason
from workspace.limited.pool import Pool
from workspace.limited.process import LimitError, Limits, LostError
from workspace.sandbox.walls import Walls

AHEAD = 6
"""Images for each process that are being decoded, or are decoded and wait."""
LIMITS = Limits(processor=60, clock=600, memory=4 << 30, answer=1 << 30)
"""What decoding one image may take: ten times the time, and several times the memory, of the largest image that is
accepted in the slowest format."""
MODULE = "captioning.decoding_process"
"""What such a process runs."""


class Decoders:
    """Decoding processes; a context manager that ends them."""

    def __init__(self, workers: int | None = None, limits: Limits = LIMITS, module: str = MODULE) -> None:
        """`workers`: how many; None: one for each core."""
        self._pool = Pool(module, limits, workers)

    def __enter__(self) -> "Decoders":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    @property
    def walls(self) -> Walls | None:
        """The walls that stand around every process started so far (workspace/sandbox/walls.py); None: none was."""
        return self._pool.walls

    def decode(self, jobs: Iterable[tuple[Key, Job | Unusable]]) -> Iterator[tuple[Key, DecodeResult]]:
        """As `captioning.decoding.DecodeAll`. Jobs are taken when there is room for them, in the caller's thread.

        Raises `CommunityForensicsError` when no process can be started.
        """
        return self._pool.each(self._decoded, jobs, AHEAD)

    def _decoded(self, keyed: tuple[Key, Job | Unusable]) -> tuple[Key, DecodeResult]:
        key, job = keyed
        return key, job if isinstance(job, Unusable) else self._decode(job)

    def _decode(self, job: Job) -> DecodeResult:
        target_size = None if job.target_size is None else dataclasses.asdict(job.target_size)
        message = {"suffix": PurePath(job.image.path).suffix, "target_size": target_size}
        try:
            if job.content is not None:
                return self._pool.ask(message, checked_result, job.content)
            with open_image(Path(job.image.path), job.image.within) as file:
                return self._pool.ask(message, checked_result, files=[file.fileno()])
        except (LostError, LimitError) as error:
            return Unusable("broken", f"the process that decodes it {error}")
        except UnusableImageError as error:
            return Unusable(error.reason, error.detail)


def checked_result(answer: dict[str, Any], pixels: bytes) -> DecodeResult:
    """The result that a process sent, which may be wrong in any way: then `KeyError`, `TypeError` or `ValueError`."""
    if "unusable" in answer:
        unusable = Unusable(**answer["unusable"])
        if unusable.reason not in get_args(SkipReason) or not isinstance(unusable.detail, str):
            raise ValueError
        return unusable
    facts = ImageFacts(**{**answer["facts"], "compression": _checked_compression(answer["facts"]["compression"])})
    texts = (facts.sha256, facts.format, facts.mode)
    if not all(isinstance(text, str) for text in texts) or not re.fullmatch("[0-9a-f]{64}", facts.sha256):
        raise ValueError
    if facts.format not in (*REAL_FORMATS, "MPO") or len(facts.mode) > 20:
        raise ValueError
    if not all(isinstance(side, int) and 0 < side < 1 << 31 for side in (facts.width, facts.height)):
        raise ValueError
    if type(facts.file_size) is not int or not 0 < facts.file_size <= MAX_BYTES:
        raise ValueError
    if answer["shape"] is None:
        return Decoded(facts, None)
    height, width, channels = answer["shape"]
    if channels != 3 or min(height, width) < 1:
        raise ValueError
    return Decoded(facts, np.frombuffer(pixels, dtype=np.uint8).reshape((height, width, 3)))


def _checked_compression(sent: dict[str, Any]) -> Compression:
    """What a process says of a file's compression; errors as `checked_result`."""
    found = Compression(**sent)
    if found.jpeg_quality is not None and (type(found.jpeg_quality) is not int or not 1 <= found.jpeg_quality <= 100):
        raise ValueError
    if found.chroma_subsampling is not None and not re.fullmatch("[0-9x:,]{1,40}", found.chroma_subsampling):
        raise ValueError
    if not all(isinstance(said, bool) for said in (found.progressive or False, found.has_exif, found.has_icc)):
        raise ValueError
    return found
