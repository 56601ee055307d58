"""Parallel work in threads that do not keep the process alive.

At exit, the thread pools of the standard library wait for running work; a stalled request would then keep an
interrupted process alive.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def each(
    work: Callable[[T], R], items: Iterable[T], at_a_time: int, stop: Callable[[], None] = lambda: None
) -> Iterator[R]:
    """Yield `work(item)` of every item, `at_a_time` in parallel, started in order, as results are finished.

    After an error, or when the caller stops iterating, no further item is started and `stop` is called once, so that
    running work can end early; the error is raised when all threads have ended.
    """
    left = deque(items)
    finished: queue.SimpleQueue[tuple[bool, R | BaseException] | None] = queue.SimpleQueue()
    stopped = threading.Event()

    def run() -> None:
        try:
            while not stopped.is_set():
                try:
                    item = left.popleft()
                except IndexError:
                    return
                finished.put((True, work(item)))
        except BaseException as error:
            stopped.set()
            finished.put((False, error))
        finally:
            finished.put(None)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(at_a_time, len(left)))]
    for thread in threads:
        thread.start()
    running, failure = len(threads), None
    try:
        while running:
            result = finished.get()
            if result is None:
                running -= 1
            elif result[0]:
                if failure is None:
                    yield result[1]  # type: ignore[misc]
            elif failure is None:
                failure = result[1]
                stop()
        if failure is not None:
            raise failure  # type: ignore[misc]
    except BaseException:
        if not stopped.is_set():
            stopped.set()
            stop()
        raise
    finally:
        for thread in threads:
            thread.join()
