"""Asking once: what several threads want to know, one of them finds out."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """Answers by key, each made once; who comes meanwhile waits for it. A failure is nobody's answer but its own."""

    def __init__(self) -> None:
        self._answers: dict[K, Future[V]] = {}
        self._lock = threading.Lock()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The answer to `key`, by `make` where there is none yet; raises what `make` raises."""
        while True:
            with self._lock:
                answer = self._answers.get(key)
                if answer is None:
                    mine = self._answers[key] = Future()
                    break
            if answer.exception() is None:  # waits for it
                return answer.result()
        try:
            found = make()
        except BaseException as error:
            with self._lock:
                del self._answers[key]
            mine.set_exception(error)
            raise
        mine.set_result(found)
        return found
