"""The seconds of each phase."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Adds up the seconds of each phase; threads may share it.

    A phase inside another is counted as itself and not as the outer one. Encoding and writing run in other threads, so
    the sum of all phases may be more than the time that passed.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._lock = threading.Lock()
        self._thread = threading.local()

    def take(self) -> dict[str, float]:
        """The seconds so far; they are counted from 0 again."""
        with self._lock:
            seconds, self.seconds = self.seconds, {}
        return seconds

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Count the block's time as that of `phase`."""
        outer = getattr(self._thread, "inner", 0.0)
        self._thread.inner = 0.0
        started = time.perf_counter()
        try:
            yield
        finally:
            passed = time.perf_counter() - started
            with self._lock:
                self.seconds[phase] = self.seconds.get(phase, 0.0) + passed - self._thread.inner
            self._thread.inner = outer + passed
