"""The supervisor's side of the child: starts it, gives it work, and notices when it dies or does not answer.

Children come from a fork server that has imported the libraries, so that a new one starts in under a second instead of
ten. The server is started in a clean environment: no token was ever in it. A child that sends nothing for `timeout`
seconds is killed; so every phase (start, load, one batch) has that long.
"""

import multiprocessing
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType, TracebackType

from samplers.child.loop import main
from samplers.messages import Assignment, Fatal, FromChild, Progress, Ready, Result, Start, decode
from samplers.outcomes import Status
from workspace.errors import CommunityForensicsError
from workspace.process_folder import remove_folder
from workspace.sandbox.isolation import clean_environment
from workspace.sandbox.walls import switched_off

#: Lines of the child's standard error that an outcome keeps, and the bytes at its end in which they are looked for.
_LAST_LINES, _LAST_BYTES = 20, 16_384
_KILLED_BY_SIGNAL_9 = -9
#: What C++, Rust and Python print when they end a process that gets no memory.
_NO_MEMORY = re.compile(r"std::bad_alloc|memory allocation of \d+ bytes failed|MemoryError\b")
#: Held while a process is started: its environment and main module are then those of this whole process.
_STARTING = threading.Lock()


class SamplingError(CommunityForensicsError):
    """No generator can be sampled: no working safety checker, no device, or no space left."""


class ChildLostError(Exception):
    """The child died, or was killed because it did not answer."""

    def __init__(self, status: Status, detail: str) -> None:
        super().__init__(detail)
        self.status: Status = status
        self.detail = detail


def warm_up(home: Path) -> None:
    """Start the fork server, whose imports take seconds, so that files are downloaded meanwhile; `home` as in `Start`.

    Raises `UsageError` where the environment names a wall of the sandbox that does not exist.
    """
    switched_off()
    _context()
    with _STARTING, clean_environment(home):
        forkserver.ensure_running()


class Worker:
    """A child, started when it is first needed and again after it was lost; a context manager that ends it."""

    def __init__(self, start: Start, timeout: float) -> None:
        self._start, self._timeout = start, timeout
        self._context = _context()
        self._connection: Connection | None = None
        self._process: multiprocessing.process.BaseProcess | None = None
        self._home: Path | None = None

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._end()

    def start(self) -> Ready:
        """Start a child; returns the device that it samples on, and its sandbox layers. Raises `SamplingError`."""
        self._start.stderr.write_bytes(b"")
        # What one child leaves in its home is not there for the next one.
        home = Path(tempfile.mkdtemp(prefix="child-", dir=self._start.home))
        ours, its = self._context.Pipe(duplex=True)
        start = replace(self._start, home=home, without_walls=tuple(switched_off()))
        process = self._context.Process(target=main, args=(its, start), daemon=True)
        with _STARTING, clean_environment(self._start.home), _empty_main_module():
            process.start()
        # The child must hold the only other end, or its death would not be noticed.
        its.close()
        self._connection, self._process, self._home = ours, process, home
        try:
            ready = self._receive()
        except ChildLostError as lost:
            last = "; ".join(self.last_lines()[-3:])
            raise SamplingError(f"the sampling process does not start: {lost.detail}; {last}") from lost
        if not isinstance(ready, Ready):
            raise SamplingError(f"the sampling process does not start: its first message is {ready}")
        return ready

    def sample(self, assignment: Assignment, report: Callable[[Progress], None]) -> Result:
        """Sample one generator; `report` is called after every batch. Raises `ChildLostError` and `SamplingError`."""
        if self._connection is None:
            self.start()
        # The child writes in append mode, so it continues at the start: the lines in the file are this generator's.
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
                    # Much of the memory may still be held, in fragments: the next generator gets a new process.
                    self._end()
                return message
            if isinstance(message, Progress):
                report(message)

    def last_lines(self) -> tuple[str, ...]:
        """The last lines that the child wrote to its standard error for this generator."""
        return tuple(line for line in self._output() if line.strip())[-_LAST_LINES:]

    def _output(self) -> list[str]:
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
        """Why the child closed its end of the connection."""
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
        no_memory = next((line for line in self._output() if _NO_MEMORY.search(line)), None)
        if no_memory is not None:
            return ChildLostError("out-of-memory", f"the sampling process {how}: {no_memory[:200]}")
        return ChildLostError("crashed", f"the sampling process {how}")

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            # Every file on the disk is complete at any moment.
            self._process.kill()
            # With all that it started, where the sandbox did not refuse that: the group has its number.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid or 0, signal.SIGKILL)
            self._process.join(timeout=10)
            self._process = None
        if self._home is not None:
            remove_folder(self._home)
            self._home = None


def _context() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["samplers.child.preload"])
    return context


@contextmanager
def _empty_main_module() -> Iterator[None]:
    """Let multiprocessing see a main module without a file while the block starts a process.

    It would import the main module again in the new process, and so run a script without `if __name__ == "__main__"`
    once more. The child needs nothing of it.
    """
    main_module = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main_module
