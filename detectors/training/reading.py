"""The bytes of training images, read ahead: images that lie together in a file are read together, in its order.

One thread reads, because a disk that is slow is slow where several read, and a Parquet file is read from the beginning
of a row group. What was read is kept until it is taken, `MOST_BYTES` at most: what is beyond is read when it is taken.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import pairwise, repeat
from typing import Protocol, TypeVar

import numpy as np

from detectors.data.index import Index, Rows
from detectors.training.draws import Together
from workspace.terminal import say

#: Bytes that are kept at most.
MOST_BYTES = 2 << 30
#: Images that are looked at before they are taken, so that what is read with them is there then.
_AHEAD = 256


class Placed(Protocol):
    """An image that is asked for: its row, and with what it is read."""

    @property
    def row(self) -> int:
        """The number of the row."""

    @property
    def together(self) -> Together | None:
        """With what it is read; None: with nothing."""


T = TypeVar("T", bound=Placed)


class ReadAhead:
    """Reads images of an index; a context manager that ends its thread."""

    def __init__(self, index: Index) -> None:
        self._index, self._locators = index, index.table.column("locator")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reading")
        self._bytes, self._lock, self._closed, self._said = 0, threading.Lock(), False, False

    def close(self) -> None:
        """Read no more."""
        self._closed = True
        self._thread.shutdown(cancel_futures=True)

    def each(self, wanted: Iterable[T]) -> Iterator[tuple[T, Callable[[], bytes]]]:
        """Each of `wanted` with a function that gives its bytes once, and raises what reading it raised: `OSError`,
        `HubError`. Threads may call these functions."""
        waiting: deque[tuple[T, Callable[[], bytes]]] = deque()
        units: dict[Hashable, _Unit] = {}
        for one in wanted:
            if one.together is None:
                waiting.append((one, partial(self._read, one.row)))
            else:
                unit = units.get(one.together.key)
                if unit is None:
                    unit = units[one.together.key] = _Unit(self, one.together.rows())
                waiting.append((one, partial(unit.take, one.row)))
                unit.expected -= 1
                if not unit.expected:
                    del units[one.together.key]
            if len(waiting) > _AHEAD:
                yield waiting.popleft()
        yield from waiting

    def _read(self, row: int) -> bytes:
        return self._index.source_of(row).read(self._locators[row].as_py())

    def _say_full(self) -> None:
        with self._lock:
            if self._said:
                return
            self._said = True
        say(
            f"warning: images that are read together take more than {MOST_BYTES >> 30} GB of memory: the others are "
            "read one by one, which is slow; row groups of fewer bytes, such as those of cf-publish, are read at once",
            err=True,
        )


class _Unit:
    """Images that are read together, until each was taken as many times as it is drawn."""

    def __init__(self, reader: ReadAhead, rows: Rows) -> None:
        self.expected = len(rows)
        self._reader, self._drawn = reader, Counter(rows.tolist())
        self._found: dict[int, bytes | OSError] = {}
        self._done: Future[None] = reader._thread.submit(self._load, np.unique(rows))

    def take(self, row: int) -> bytes:
        """The bytes of one of them."""
        self._done.result()
        with self._reader._lock:
            found = self._found.get(row)
            self._drawn[row] -= 1
            if found is not None and not self._drawn[row]:
                del self._found[row]
                self._reader._bytes -= len(found) if isinstance(found, bytes) else 0
        if found is None:
            return self._reader._read(row)
        if isinstance(found, OSError):
            raise found
        return found

    def _load(self, rows: Rows) -> None:
        reader = self._reader
        for row in rows.tolist():
            if reader._closed:
                return
            if reader._bytes >= MOST_BYTES:
                reader._say_full()
                return
            try:
                self._found[row] = content = reader._read(row)
            except OSError as error:
                self._found[row] = error
            else:
                with reader._lock:
                    reader._bytes += len(content)


def consecutive(index: Index, rows: Rows) -> Iterator[Together | None]:
    """With what each of these rows, which are in order, is read: those around it that are of the same group."""
    groups = index.numbers("group")[rows]
    starts = np.flatnonzero(np.diff(groups, prepend=-2)).tolist()
    for start, end in pairwise([*starts, len(rows)]):
        together = None if groups[start] < 0 else Together(start, partial(rows.__getitem__, slice(start, end)))
        yield from repeat(together, end - start)
