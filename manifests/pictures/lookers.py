"""Processes that look at pictures: asked in parallel, answers in the order of the questions."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import LifoQueue
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from workspace.limited.process import LimitedProcess, LimitError, Limits, LostError

#: What one picture may take, as when it was captioned.
_LIMITS = Limits(processor=60, clock=600, memory=4 << 30, answer=64 << 20)
_MODULE = "manifests.pictures.process"
#: More processes than this wait for the disk.
_MAX_LOOKERS = 8
#: Files that are held in memory for each process.
_AHEAD = 3


@dataclass(frozen=True)
class Question:
    """A picture's file and the suffix of its name. The answer's pixels fit a square of `fit` pixels a side, in the
    picture's proportions or (`stretch`) filling it; a small picture is not enlarged unless it is stretched."""

    content: bytes
    suffix: str
    fit: int
    stretch: bool = False


@dataclass(frozen=True)
class Seen:
    """A picture as people see it: width and height in pixels, upright; its number of grey levels in full size, 1 to
    256; and `pixels`, RGB bytes of shape (height, width, 3) at the size that was asked for."""

    size: tuple[int, int]
    levels: int
    pixels: npt.NDArray[np.uint8]


class Lookers:
    """The processes, each started when it is first needed; a context manager that ends them."""

    def __init__(self, number: int | None = None) -> None:
        """`number` of processes; None: one for each core that this process may use, with an upper limit."""
        self._number = number or min(len(os.sched_getaffinity(0)), _MAX_LOOKERS)
        # The last one used is the next one, so that few pictures start few processes.
        self._idle: LifoQueue[_Looker] = LifoQueue()
        self._lookers = [_Looker() for _ in range(self._number)]
        for looker in self._lookers:
            self._idle.put(looker)
        self._threads = ThreadPoolExecutor(self._number, thread_name_prefix="looking")

    def __enter__(self) -> "Lookers":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for looker in self._lookers:
            looker.close()
        self._threads.shutdown(cancel_futures=True)

    def look(self, questions: Iterable[Question | None]) -> Iterator[Seen | None]:
        """An answer for each question, in order; None for a picture that cannot be decoded, and for no question.

        Raises `CommunityForensicsError` when no process can be started.
        """
        pending: deque[Future[Seen | None] | None] = deque()
        for question in questions:
            pending.append(None if question is None else self._threads.submit(self._ask, question))
            if len(pending) > _AHEAD * self._number:
                yield _result(pending.popleft())
        while pending:
            yield _result(pending.popleft())

    def _ask(self, question: Question) -> Seen | None:
        looker = self._idle.get()
        try:
            return looker.ask(question)
        finally:
            self._idle.put(looker)


def _result(asked: "Future[Seen | None] | None") -> Seen | None:
    return None if asked is None else asked.result()


class _Looker:
    """One process; used by one thread at a time. One that a picture ended is replaced for the next picture."""

    def __init__(self) -> None:
        self._process: LimitedProcess | None = None
        self._closed = False

    def ask(self, question: Question) -> Seen | None:
        if self._process is None or not self._process.usable:
            self._process = LimitedProcess(_MODULE, _LIMITS)
        if self._closed:  # perhaps while it was being started
            self._process.close()
        message = {"suffix": question.suffix, "fit": question.fit, "stretch": question.stretch}
        try:
            answer, pixels = self._process.ask(message, question.content)
        except (LostError, LimitError):
            return None
        try:
            return _checked(answer, pixels, question)
        except (KeyError, TypeError, ValueError):
            self._process.close()
            return None

    def close(self) -> None:
        self._closed = True
        if self._process is not None:
            self._process.close()


def _checked(answer: dict[str, Any], pixels: bytes, question: Question) -> Seen | None:
    """What a process answered, which may be wrong in any way: then `KeyError`, `TypeError` or `ValueError`."""
    if "unreadable" in answer:
        return None
    (width, height), (rows, columns, channels), levels = answer["size"], answer["shape"], answer["levels"]
    if not all(isinstance(number, int) and 0 < number < 1 << 31 for number in (width, height, rows, columns, levels)):
        raise ValueError
    if channels != 3 or levels > 256 or max(rows, columns) > question.fit:
        raise ValueError
    return Seen((width, height), levels, np.frombuffer(pixels, np.uint8).reshape((rows, columns, 3)))
