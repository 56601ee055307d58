"""When the next request may be sent: as often as the recipe says, and not before the provider's `Retry-After`."""

import random
import threading
import time

#: Longest wait in seconds after a failure for which the provider names none.
MAX_BACKOFF = 60.0


class StoppedError(Exception):
    """The run is to end: nothing more is requested."""


class Pace:
    """The pace of all threads that ask one provider."""

    def __init__(self, per_minute: float | None, stopping: threading.Event) -> None:
        self._apart = 60.0 / per_minute if per_minute else 0.0
        self._stopping = stopping
        self._lock = threading.Lock()
        self._next = self._not_before = 0.0

    def wait(self) -> None:
        """Wait for this thread's turn. Raises `StoppedError`."""
        with self._lock:
            turn = max(time.monotonic(), self._next)
            self._next = turn + self._apart
        while (left := max(turn, self._not_before) - time.monotonic()) > 0:
            if self._stopping.wait(left):
                break
        if self._stopping.is_set():
            raise StoppedError

    def hold(self, failures: int, wait: float | None) -> None:
        """Let no thread send before the time that the provider asked for; else before a random one that doubles with
        every failure."""
        seconds = random.uniform(0, min(MAX_BACKOFF, 0.5 * 2**failures)) if wait is None else wait
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + seconds)
