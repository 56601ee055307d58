"""The images of an index, decoded: RGB, upright, transparency on white, 16 bits scaled to 8, as people see them.

Files are strangers', so they are decoded in processes with limits; their answers are taken for data that may be wrong
but cannot run. Images inside Parquet files are read in the order of their rows there, a few at a time, so that a row
group is read once where rows are asked for in their order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.data.index import Index, Rows
from workspace.errors import in_one_line
from workspace.limited.pool import Pool
from workspace.limited.process import LimitError, Limits, LostError
from workspace.printable import in_line

Image = npt.NDArray[np.uint8]
"""RGB of shape (height, width, 3)."""

#: Pixels of an image at most: its answer is three bytes each.
MAX_PIXELS = 64_000_000

_LIMITS = Limits(processor=60, clock=600, memory=4 << 30, answer=3 * MAX_PIXELS)
#: Files that are held in memory for each process.
_AHEAD = 4


def read(
    index: Index, rows: Rows, *, limit: int = MAX_PIXELS, processes: int | None = None
) -> Iterator[tuple[int, Image | None]]:
    """Each row with its image, in the order of `rows`; None for one that cannot be read or decoded, or has more than
    `limit` pixels: then `index.unread` says why.

    `processes`: how many decode; None: one for each core that this process may use. Raises `CommunityForensicsError`
    when none can be started, `HubError` when the Hub does not answer.
    """
    with ImageDecoders(processes, limit) as decoders:
        yield from decoders.read(index, rows)


@dataclass(frozen=True)
class _Unread:
    why: str


class ImageDecoders:
    """The processes that decode; a context manager that ends them."""

    def __init__(self, processes: int | None = None, limit: int = MAX_PIXELS) -> None:
        """As `read`."""
        self._pool, self._limit = Pool("detectors.data.decoding", _LIMITS, processes), min(limit, MAX_PIXELS)

    def __enter__(self) -> "ImageDecoders":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def read(self, index: Index, rows: Rows) -> Iterator[tuple[int, Image | None]]:
        """As the function `read`."""
        decoded = self._pool.each(self._decoded, self._files(index, rows), _AHEAD)
        for row, image in zip(rows.tolist(), decoded, strict=True):
            if isinstance(image, _Unread):
                index.unread[row] = image.why
                yield row, None
            else:
                yield row, image

    def _files(self, index: Index, rows: Rows) -> Iterator[tuple[str, bytes] | _Unread]:
        locators = index.table.column("locator")
        for row in rows.tolist():
            locator = locators[row].as_py()
            try:
                yield PurePath(locator).suffix, index.source_of(row).read(locator)
            except OSError as error:
                yield _Unread(error.strerror or in_one_line(error, 200))

    def _decoded(self, file: tuple[str, bytes] | _Unread) -> Image | _Unread:
        if isinstance(file, _Unread):
            return file
        suffix, content = file
        message = {"suffix": suffix, "pixels": self._limit}
        try:
            return self._pool.ask(message, self._checked, content)
        except (LostError, LimitError) as error:
            return _Unread(f"the process that decodes it {error}")

    def _checked(self, answer: dict[str, Any], pixels: bytes) -> Image | _Unread:
        """What a process answered, which may be wrong in any way: then `KeyError`, `TypeError` or `ValueError`."""
        if "unreadable" in answer:
            return _Unread(in_line(str(answer["unreadable"]))[:200])
        height, width, channels = answer["shape"]
        if not all(isinstance(length, int) and length > 0 for length in (height, width)) or channels != 3:
            raise ValueError
        if height * width > self._limit:
            raise ValueError
        return np.frombuffer(pixels, np.uint8).reshape((height, width, 3))
