"""The supervisor's end of a child: start it, give it work, notice when it dies or falls silent.

Children come from a fork server that has the heavy imports already, so that replacing one costs under a second
instead of ten. The server is started in a cleaned environment: no token was ever in it. A child that says nothing
for `timeout` seconds is killed; so every phase (start, load, one batch) has that long.
"""

import multiprocessing
import os
import re
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType

from samplers.child.loop import main
from samplers.child.walls.sandbox import clean_environment
from samplers.messages import Assignment, Fatal, FromChild, Progress, Ready, Result, Start, decode
from samplers.outcomes import Status
from workspace.errors import CommunityForensicsError

#: Lines of the child's standard error that an outcome keeps, and the bytes they are looked for in.
_LAST_LINES, _LAST_BYTES = 20, 16_384
_KILLED_BY_SIGNAL_9 = -9
#: How C++ and Rust end a process that they cannot get memory for, and Python one whose last words were that.
_NO_MEMORY = re.compile(r"std::bad_alloc|memory allocation of \d+ bytes failed|MemoryError\b")


class SamplingError(CommunityForensicsError):
    """No generator can be sampled: no working checker, no device, no space left."""


class ChildLostError(Exception):
    """The child is gone, or had to be ended."""

    def __init__(self, status: Status, detail: str) -> None:
        super().__init__(detail)
        self.status: Status = status
        self.detail = detail


def warm_up(home: Path) -> None:
    """Start the fork server, which imports for seconds, so that files are fetched meanwhile; `home` as in `Start`."""
    _context()
    with clean_environment(home):
        forkserver.ensure_running()


class Worker:
    """A child, started when it is first needed and again after it was lost; a context manager that ends it."""

    def __init__(self, start: Start, timeout: float) -> None:
        self._start, self._timeout = start, timeout
        self._context = _context()
        self._connection: Connection | None = None
        self._process: multiprocessing.process.BaseProcess | None = None

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._end()

    def start(self) -> Ready:
        """Make sure that there is a child; returns the device it samples on, and its walls. Raises `SamplingError`."""
        self._start.stderr.write_bytes(b"")
        ours, its = self._context.Pipe(duplex=True)
        process = self._context.Process(target=main, args=(its, self._start), daemon=True)
        with clean_environment(self._start.home):
            process.start()
        # The child must hold the only other end, or its death would not be noticed.
        its.close()
        self._connection, self._process = ours, process
        try:
            ready = self._receive()
        except ChildLostError as lost:
            said = "; ".join(self.last_lines()[-3:])
            raise SamplingError(f"the sampling process does not start: {lost.detail}; {said}") from lost
        if not isinstance(ready, Ready):
            raise SamplingError(f"the sampling process began with {ready}")
        return ready

    def sample(self, assignment: Assignment, moved: Callable[[Progress], None]) -> Result:
        """Have one generator sampled; `moved` hears of every batch. Raises `ChildLostError` and `SamplingError`."""
        if self._connection is None:
            self.start()
        # The file is the child's in append mode, so emptying it makes it start over: its lines are this generator's.
        os.truncate(self._start.stderr, 0)
        assert self._connection is not None
        try:
            self._connection.send(assignment)
        except OSError as error:
            raise self._lost() from error
        while True:
            message = self._receive()
            if isinstance(message, Result):
                if message.status == "out-of-memory":
                    # Much of the memory may still be held, in pieces: the next generator gets a fresh process.
                    self._end()
                return message
            if isinstance(message, Progress):
                moved(message)

    def last_lines(self) -> tuple[str, ...]:
        """The last lines the child wrote to its standard error for this generator."""
        return tuple(line for line in self._said() if line.strip())[-_LAST_LINES:]

    def _said(self) -> list[str]:
        try:
            with self._start.stderr.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _LAST_BYTES))
                return file.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return []

    def _receive(self) -> FromChild:
        assert self._connection is not None
        try:
            if not self._connection.poll(self._timeout):
                self._end()
                raise ChildLostError("hung", f"nothing happened for {self._timeout:g} s (--timeout)")
            message = decode(self._connection.recv_bytes(maxlength=1 << 20))
        except (EOFError, OSError, ValueError) as error:
            raise self._lost() from error
        if isinstance(message, Fatal):
            self._end()
            raise SamplingError(message.detail)
        return message

    def _lost(self) -> ChildLostError:
        """The child hung up: why."""
        process = self._process
        self._connection = None
        if process is None:
            return ChildLostError("crashed", "the sampling process ended")
        process.join(timeout=10)
        code = process.exitcode
        self._end()
        if code is not None and code < 0:
            hint = ", as the system does when memory runs out" if code == _KILLED_BY_SIGNAL_9 else ""
            how = f"was ended by signal {-code}{hint}"
        else:
            how = f"ended with exit code {code}"
        said = next((line for line in self._said() if _NO_MEMORY.search(line)), None)
        if said is not None:
            return ChildLostError("out-of-memory", f"the sampling process {how}: {said[:200]}")
        return ChildLostError("crashed", f"the sampling process {how}")

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            # Whatever it is doing, the disk is whole.
            self._process.kill()
            self._process.join(timeout=10)
            self._process = None


def _context() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["samplers.child.preload"])
    return context
