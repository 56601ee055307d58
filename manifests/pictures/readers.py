"""Processes that read pictures: asked in parallel, answers in the order of the requests."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workspace.limited.pool import Pool
from workspace.limited.process import LimitError, Limits, LostError

#: What one picture may take, as when it was captioned.
_LIMITS = Limits(processor=60, clock=600, memory=4 << 30, answer=64 << 20)
_MODULE = "manifests.pictures.process"
#: Files that are held in memory for each process.
_AHEAD = 3


@dataclass(frozen=True)
class Request:
    """A picture's file and the suffix of its name. The answer's pixels fit a square of `fit` pixels a side, in the
    picture's proportions or (`stretch`) filling it; a small picture is not enlarged unless it is stretched."""

    content: bytes
    suffix: str
    fit: int
    stretch: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture as people see it: width and height in pixels, upright; its number of grey levels in full size, 1 to
    256; and `pixels`, RGB bytes of shape (height, width, 3) at the size that was asked for."""

    size: tuple[int, int]
    levels: int
    pixels: npt.NDArray[np.uint8]


class PictureReaders:
    """The processes; a context manager that ends them."""

    def __init__(self, number: int | None = None) -> None:
        """`number` of processes; None: one for each core that this process may use, with an upper limit."""
        self._pool = Pool(_MODULE, _LIMITS, number)

    def __enter__(self) -> "PictureReaders":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def read(self, requests: Iterable[Request | None]) -> Iterator[Picture | None]:
        """A picture for each request, in order; None for one that cannot be decoded, and for no request.

        Raises `CommunityForensicsError` when no process can be started.
        """
        return self._pool.each(self._read, requests, _AHEAD)

    def _read(self, request: Request | None) -> Picture | None:
        if request is None:
            return None
        message = {"suffix": request.suffix, "fit": request.fit, "stretch": request.stretch}
        try:
            return self._pool.ask(message, lambda answer, pixels: _checked(answer, pixels, request), request.content)
        except (LostError, LimitError):
            return None


def _checked(answer: dict[str, Any], pixels: bytes, request: Request) -> Picture | None:
    """What a process answered, which may be wrong in any way: then `KeyError`, `TypeError` or `ValueError`."""
    if "unreadable" in answer:
        return None
    (width, height), (rows, columns, channels), levels = answer["size"], answer["shape"], answer["levels"]
    if not all(isinstance(number, int) and 0 < number < 1 << 31 for number in (width, height, rows, columns, levels)):
        raise ValueError
    if channels != 3 or levels > 256 or max(rows, columns) > request.fit:
        raise ValueError
    return Picture((width, height), levels, np.frombuffer(pixels, np.uint8).reshape((rows, columns, 3)))
