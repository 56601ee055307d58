"""Limits of time and memory that a reader of strangers' files must keep."""

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def within(*, seconds: float, megabytes: float | None = None) -> Iterator[None]:
    """Fail if the block takes more CPU time, or Python holds more memory meanwhile (None: it is not measured).

    Measuring the memory takes some of the time.
    """
    if megabytes is not None:
        tracemalloc.start()
    began = time.process_time()
    try:
        yield
        assert time.process_time() - began < seconds
        if megabytes is not None:
            assert tracemalloc.get_traced_memory()[1] < megabytes * 2**20
    finally:
        if megabytes is not None:
            tracemalloc.stop()
