"""Single flight: a value that several threads need at once is computed by one of them."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """Values by key, each computed once; other threads wait for it. An error reaches only the thread that caused it."""

    def __init__(self) -> None:
        self._values: dict[K, Future[V]] = {}
        self._lock = threading.Lock()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value of `key`, computed by `make` if there is none yet; raises what `make` raises."""
        while True:
            with self._lock:
                value = self._values.get(key)
                if value is None:
                    mine = self._values[key] = Future()
                    break
            if value.exception() is None:  # waits for it
                return value.result()
        try:
            made = make()
        except BaseException as error:
            with self._lock:
                del self._values[key]
            mine.set_exception(error)
            raise
        mine.set_result(made)
        return made
