"""Threads that read images where locators say that they lie.

Of files of their own, several are read at once. What lies in archives and tables is read one after the other, in the
order in which it was asked for: in a Parquet file, going back by a row costs as much as reading its group again.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, Self, TypeVar

from workspace.locator import is_plain_file

P = ParamSpec("P")
T = TypeVar("T")

#: Files read together unless somebody says otherwise: enough to hide a disk's latency.
_THREADS = 8


class ReadingThreads:
    """To be used in a `with` block, which ends when all that was submitted is done."""

    def __init__(self, threads: int = _THREADS) -> None:
        self._several = ThreadPoolExecutor(threads)
        self._one = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._several, self._one:
            pass

    def submit(self, locator: str, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have `read`, which reads the image at `locator`, called in a thread."""
        threads = self._several if is_plain_file(locator) else self._one
        return threads.submit(read, *args, **kwargs)
