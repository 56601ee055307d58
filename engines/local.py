"""The engine of one machine: processes that are started here, each of which calls one item after the other.

A process is started anew (not forked), so it has no thread or lock of this one; it is alone in its process group, so
that Ctrl-C at a terminal reaches this process only, which then interrupts it once. It may have children of its own. It
gets the next item when it has given the result of the last one, so where it is lost, one item is.
"""

import multiprocessing
import os
import pickle
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType, ModuleType
from typing import Any, TypeVar

from engines.devices import visible_gpus
from engines.engine import TRIES, LostError, answer_of, result_of
from workspace.errors import UsageError

T = TypeVar("T")
R = TypeVar("R")

#: Seconds that interrupted processes have to end in order: a supervisor needs ten to store its last batch.
SECONDS_AT_END = 15.0


class LocalEngine:
    """Processes on this machine."""

    def __init__(
        self, processes: int | None = None, lost: Callable[[Any, int | None, bool], None] | None = None
    ) -> None:
        """`processes`: at most so many at a time; None: one for each core, or as many as the GPUs are enough for.

        `lost` is told of each process that is lost: its item, its exit code, and whether the item is called again. One
        that is not is then left out, and the others go on.
        """
        self._processes, self._lost = processes, lost

    def workers(self, gpus: int = 0) -> int:
        """How many calls run at the same time. Raises `UsageError` where there are not enough GPUs for one."""
        most = os.cpu_count() or 1
        if gpus:
            devices = visible_gpus()
            most = len(devices) // gpus
            if not most:
                raise UsageError(f"this machine has {len(devices)} GPUs, and {gpus} are needed: choose --device cpu")
        return min(most, self._processes or most) if gpus else self._processes or most

    def machines(self) -> int:
        """How many machines there are: this one."""
        return 1

    def __str__(self) -> str:
        return "this machine"

    def run(self, function: Callable[[T], R], items: Sequence[T], *, gpus: int = 0) -> Iterator[tuple[T, R]]:
        """Call `function` with each item (`engines.engine.Engine.run`)."""
        if not items:
            return
        waiting = deque((item, 1) for item in items)
        processes = [_Process(_devices(number, gpus)) for number in range(min(len(items), self.workers(gpus)))]
        try:
            while True:
                for process in processes:
                    if process.call is None and waiting:
                        process.start(function, *waiting.popleft())
                busy = {process.connection: process for process in processes if process.call and process.connection}
                if not busy:
                    return
                for ready in wait(busy):
                    process = busy[ready]  # type: ignore[index]
                    item, tries = process.taken()
                    try:
                        result = process.result()
                    except EOFError:
                        code = process.lost()
                        if self._lost is not None:
                            self._lost(item, code, tries < TRIES)
                            if tries == TRIES:
                                continue
                        if tries == TRIES:
                            raise LostError(
                                f"a process ended unexpectedly (exit code {code}), {TRIES} times with the same work: "
                                "look at the memory of this machine, then run the same command again"
                            ) from None
                        waiting.append((item, tries + 1))
                    else:
                        yield item, result
        finally:
            _end(processes)


def _devices(number: int, gpus: int) -> str | None:
    """CUDA_VISIBLE_DEVICES of the process of this number; None: as it is."""
    return ",".join(visible_gpus()[number * gpus : (number + 1) * gpus]) if gpus else None


@dataclass(frozen=True)
class _Call:
    item: Any
    tries: int


class _Process:
    """A process that calls one item after the other; started when it gets the first one, and again after it was
    lost."""

    def __init__(self, devices: str | None) -> None:
        self._devices = devices
        self._process: BaseProcess | None = None
        self.connection: Connection | None = None
        self.call: _Call | None = None

    def start(self, function: Callable[[Any], Any], item: Any, tries: int) -> None:
        """Call an item."""
        work = pickle.dumps((function, item))
        self.call = _Call(item, tries)
        if self._process is None:
            context = multiprocessing.get_context("spawn")
            self.connection, its = context.Pipe()
            self._process = context.Process(target=_work, args=(its, self._devices), daemon=False)
            with _empty_main_module(function):
                self._process.start()
            its.close()  # it must hold the only other end, or its death would not be noticed
        assert self.connection is not None
        with suppress(BrokenPipeError):  # noticed when its result is read
            self.connection.send_bytes(work)

    def taken(self) -> tuple[Any, int]:
        """The item that is called, and how many times it was; this process may call another one."""
        assert self.call is not None
        call, self.call = self.call, None
        return call.item, call.tries

    def result(self) -> Any:
        """The result of its call. Raises what the function raised, and `EOFError` where the process is lost."""
        assert self.connection is not None
        try:
            answer = self.connection.recv_bytes()
        except OSError as error:
            raise EOFError from error
        return result_of(answer)

    def lost(self) -> int | None:
        """Forget the process, which has ended; its exit code."""
        process, self._process = self._process, None
        assert process is not None
        process.join()
        return process.exitcode

    def interrupt(self) -> None:
        """Let it end: at once where it calls nothing."""
        if self.connection is not None:
            self.connection.close()
        if self.call is not None and self._process is not None:
            self._process.terminate()

    def join(self, seconds: float) -> None:
        """Wait until it has ended; it is killed after so many seconds."""
        if self._process is not None:
            self._process.join(max(0.0, seconds))
            if self._process.is_alive():
                self._process.kill()
                self._process.join()


@contextmanager
def _empty_main_module(function: Callable[..., object]) -> Iterator[None]:
    """Let multiprocessing see a main module without a file while the block starts a process: it would run a script
    without `if __name__ == "__main__"` once more in the new process, which needs it only for functions of its own."""
    main_module = sys.modules["__main__"]
    if function.__module__ != "__main__":
        sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main_module


def _end(processes: Sequence[_Process]) -> None:
    deadline = time.monotonic() + SECONDS_AT_END
    for process in processes:
        process.interrupt()
    for process in processes:
        process.join(deadline - time.monotonic())


def _work(connection: Connection, devices: str | None) -> None:
    """What a process does: call what it is told, until nobody tells it more."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, interrupt)
    if devices is not None:  # before anything is imported that looks at it
        os.environ["CUDA_VISIBLE_DEVICES"] = devices
    with suppress(KeyboardInterrupt, EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            function, item = pickle.loads(connection.recv_bytes())
            connection.send_bytes(answer_of(function, item))
