"""Decoders: processes that decode images ahead of the captioner, and return them in order.

    jobs -> [thread + process] x workers -> results in the order of the jobs -> batches

Image files are untrusted, and a defect in the C code that decodes them may end the process or run code in it. So they
are decoded in processes of their own (`workspace/limited`), which have no token, no network and no path: this process
opens the file and passes it on. They may use `LIMITS` for an image, and answer with JSON and pixels: data that can be
wrong but cannot run. When such a process ends by itself, it is replaced and the image is tried once more, so that a
process killed by accident changes no row; an image with which two processes ended, or that took more than the limits,
is broken.

A job is taken only when there is room for it (`AHEAD` for each process), so memory does not grow with the number of
images.
"""

import dataclasses
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path, PurePath
from queue import SimpleQueue
from types import TracebackType
from typing import Any, get_args

import numpy as np

from captioning.compression import Compression
from captioning.decoding import Decoded, DecodeResult, Job, Key, Unusable
from captioning.images import MAX_BYTES, ImageFacts, UnusableImageError, open_image
from captioning.prompt import REAL_FORMATS
from captioning.skipped import SkipReason
from workspace.limited.process import LimitedProcess, LimitError, Limits, LostError
from workspace.sandbox.walls import Walls

AHEAD = 6
"""Images for each process that are being decoded, or are decoded and wait."""
LIMITS = Limits(processor=60, clock=600, memory=4 << 30, answer=1 << 30)
"""What decoding one image may take: ten times the time, and several times the memory, of the largest image that is
accepted in the slowest format."""
MODULE = "captioning.decoding_process"
"""What such a process runs."""
MAX_WORKERS = 16
ATTEMPTS = 2
"""Decoding processes in which an image is tried before it counts as broken."""


def default_workers() -> int:
    """One process for each core that this process may use, `MAX_WORKERS` at most."""
    return min(len(os.sched_getaffinity(0)), MAX_WORKERS)


class Decoders:
    """Decoding processes, started when first needed; a context manager that ends them."""

    def __init__(self, workers: int, limits: Limits = LIMITS, module: str = MODULE) -> None:
        self._workers = [_Worker(limits, module) for _ in range(workers)]
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="decoding")

    def __enter__(self) -> "Decoders":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for worker in self._workers:
            worker.close()
        self._threads.shutdown(cancel_futures=True)

    @property
    def walls(self) -> Walls | None:
        """The walls that stand around every process started so far (workspace/sandbox/walls.py); None: none was."""
        standing = [worker.walls for worker in self._workers if worker.walls is not None]
        return tuple(wall for wall in standing[0] if all(wall in others for others in standing)) if standing else None

    def decode(self, jobs: Iterable[tuple[Key, Job | Unusable]]) -> Iterator[tuple[Key, DecodeResult]]:
        """As `captioning.decoding.DecodeAll`. Jobs are taken when there is room for them, in the caller's thread.

        Raises `CommunityForensicsError` when no process can be started.
        """
        pending: deque[tuple[Key, Unusable | Future[DecodeResult]]] = deque()

        def next_result() -> tuple[Key, DecodeResult]:
            key, result = pending.popleft()
            return key, (result if isinstance(result, Unusable) else result.result())

        for key, job in jobs:
            pending.append((key, job if isinstance(job, Unusable) else self._threads.submit(self._decode, job)))
            if len(pending) >= AHEAD * len(self._workers):
                yield next_result()
        while pending:
            yield next_result()

    def _decode(self, job: Job) -> DecodeResult:
        worker = self._idle.get()
        try:
            for _ in range(ATTEMPTS):
                try:
                    return worker.decode(job)
                except LostError as error:
                    how = str(error)
            return Unusable("broken", f"the process that decodes it {how}")
        except LimitError as error:
            return Unusable("broken", f"the process that decodes it {error}")
        except UnusableImageError as error:
            return Unusable(error.reason, error.detail)
        finally:
            self._idle.put(worker)


class _Worker:
    """One process; used by one thread at a time."""

    def __init__(self, limits: Limits, module: str) -> None:
        self._limits, self._module = limits, module
        self._process: LimitedProcess | None = None
        self._closed = False

    def decode(self, job: Job) -> DecodeResult:
        """The result of a job.

        Raises `UnusableImageError` for a file that is not opened, `LostError`, `LimitError`, and
        `CommunityForensicsError` when no process starts.
        """
        target_size = None if job.target_size is None else dataclasses.asdict(job.target_size)
        message = {"suffix": PurePath(job.image.path).suffix, "target_size": target_size}
        if job.content is not None:
            return self._ask(message, job.content, [])
        with open_image(Path(job.image.path), job.image.within) as file:
            return self._ask(message, b"", [file.fileno()])

    @property
    def walls(self) -> Walls | None:
        """The walls that stand around its process; None before it is started."""
        return None if self._process is None else tuple(self._process.walls)

    def close(self) -> None:
        """Kill the process; may be called from any thread."""
        self._closed = True
        if self._process is not None:
            self._process.close()

    def _ask(self, message: dict[str, Any], content: bytes, files: list[int]) -> DecodeResult:
        if self._process is None or not self._process.usable:
            self._process = LimitedProcess(self._module, self._limits)
        if self._closed:  # perhaps while it was being started
            self._process.close()
        answer, pixels = self._process.ask(message, content, files)
        try:
            return checked_result(answer, pixels)
        except (KeyError, TypeError, ValueError) as error:
            self._process.close()
            raise LostError("sent an answer that makes no sense") from error


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
