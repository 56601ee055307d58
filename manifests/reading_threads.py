"""Threads that read images by their locators.

Files of their own are read in parallel. Images in archives and tables are read one after the other, in the order in
which they were submitted: in a Parquet file, going back by one row costs as much as reading its row group again.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, Self, TypeVar

from workspace.locator import is_plain_file

P = ParamSpec("P")
T = TypeVar("T")

#: Default number of files that are read in parallel: enough to hide a disk's latency.
_THREADS = 8


class ReadingThreads:
    """For use in a `with` block, which ends when everything that was submitted is done."""

    def __init__(self, threads: int = _THREADS) -> None:
        self._several = ThreadPoolExecutor(threads)
        self._one = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._several, self._one:
            pass

    def submit(self, locator: str, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call `read`, which reads the image at `locator`, in a thread."""
        threads = self._several if is_plain_file(locator) else self._one
        return threads.submit(read, *args, **kwargs)
