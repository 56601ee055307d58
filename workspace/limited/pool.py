"""A pool of processes with limits, which threads share: each is started when it is first needed.

A process that ends by itself is replaced and the question asked once more, so that a process killed by accident changes
no result; a question that took more than the limits is not.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, Self, TypeVar

from workspace.limited.process import NO_SENSE, NONSENSE, LimitedProcess, Limits, LostError
from workspace.sandbox.walls import Walls

T = TypeVar("T")
J = TypeVar("J")

MAX_PROCESSES = 16
"""More of them wait for the disk."""
ATTEMPTS = 2
"""Processes that are asked a question before it counts as one that ends them."""


def default_processes() -> int:
    """One process for each core that this process may use, `MAX_PROCESSES` at most."""
    return min(len(os.sched_getaffinity(0)), MAX_PROCESSES)


class Pool:
    """Processes that run one module (`limited.serving`); a context manager that closes it."""

    def __init__(self, module: str, limits: Limits, processes: int | None = None) -> None:
        """`processes`: how many; None: `default_processes`."""
        self.processes = processes or default_processes()
        self._module, self._limits = module, limits
        self._idle: SimpleQueue[LimitedProcess | None] = SimpleQueue()
        for _ in range(self.processes):
            self._idle.put(None)
        self._threads = ThreadPoolExecutor(self.processes, thread_name_prefix=module.rpartition(".")[2])
        self._lock = threading.Lock()
        self._running: set[LimitedProcess] = set()
        self._closed = False
        self.walls: Walls | None = None
        """The walls that stand around every process started so far (workspace/sandbox/walls.py); None: none was."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes, whatever they are doing, and what waits for them."""
        with self._lock:
            self._closed = True
            for process in self._running:
                process.close()
        self._threads.shutdown(cancel_futures=True)

    def ask(
        self,
        message: dict[str, Any],
        check: Callable[[dict[str, Any], bytes], T],
        body: bytes = b"",
        files: Sequence[int] = (),
    ) -> T:
        """What `check` makes of a process's answer, which may be wrong in any way: then it raises one of `NONSENSE`,
        and the process is ended.

        `files` are read from their beginning. Raises `LostError` where `ATTEMPTS` processes ended, `LimitError`, and
        `CommunityForensicsError` when no process can be started.
        """
        lost = LostError()
        for _ in range(ATTEMPTS):
            process = self._idle.get()
            try:
                if process is None or not process.usable:
                    process = self._start(process)
                for file in files:  # another process may have read it
                    os.lseek(file, 0, os.SEEK_SET)
                answer = process.ask(message, body, files)
                try:
                    return check(*answer)
                except NONSENSE as error:
                    process.close()
                    raise LostError(NO_SENSE) from error
            except LostError as error:
                lost = error
            finally:
                self._idle.put(process)
        raise lost

    def each(self, function: Callable[[J], T], jobs: Iterable[J], ahead: int) -> Iterator[T]:
        """`function` of each job, called in threads, in the order of the jobs.

        A job is taken, in the caller's thread, when fewer than `ahead` for each process wait for their turn or to be
        taken away, so memory does not grow with their number.
        """
        pending: deque[Future[T]] = deque()
        for job in jobs:
            pending.append(self._threads.submit(function, job))
            if len(pending) >= ahead * self.processes:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()

    def _start(self, former: LimitedProcess | None) -> LimitedProcess:
        process = LimitedProcess(self._module, self._limits)
        with self._lock:
            if former is not None:
                self._running.discard(former)
            self._running.add(process)
            standing = tuple(process.walls)
            self.walls = standing if self.walls is None else tuple(wall for wall in self.walls if wall in standing)
            if self._closed:  # while it was being started
                process.close()
        return process
