"""Several things at a time, in threads that nobody waits for at the end of the process.

The standard library's thread pools wait at exit for what is still running; a download that stalls would then keep a
process that was interrupted.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def each(work: Callable[[T], R], items: Iterable[T], at_a_time: int) -> list[R]:
    """`work` of every item, some at a time, begun in order; results as they come.

    After an error nothing more is begun; it is raised when what was under way has ended.
    """
    left = deque(items)
    results: list[R] = []
    errors: list[BaseException] = []

    def run() -> None:
        while not errors:
            try:
                item = left.popleft()
            except IndexError:
                return
            try:
                results.append(work(item))
            except BaseException as error:
                errors.append(error)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(at_a_time, len(left)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results
