"""The supervisor's side of the child: starts it, gives it work, and notices when it dies or does not answer.

Children come from a fork server that has imported the libraries, so that a new one starts in under a second instead of
ten. The server is started in a clean environment: no token was ever in it. A child that sends nothing for `timeout`
seconds is killed; so every phase (start, load, one batch) has that long.
"""

import multiprocessing
import os
import pickle
import re
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import forkserver
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from samplers.channel import Channel
from samplers.child.loop import main
from samplers.messages import (
    MAX_MESSAGE,
    Assignment,
    Batch,
    Fatal,
    FromChild,
    Progress,
    Ready,
    Result,
    Start,
    Unload,
    decode,
)
from samplers.outcomes import Status
from samplers.running.batch_checks import Expected, InvalidBatchError, checked_batch, image_size
from samplers.sample import Sample
from workspace.errors import CommunityForensicsError
from workspace.process_folder import remove_folder
from workspace.sandbox.isolation import clean_environment
from workspace.sandbox.walls import Walls, switched_off

#: Lines of the child's standard error that an outcome keeps, and the bytes at its end in which they are looked for.
_LAST_LINES, _LAST_BYTES = 20, 16_384
_KILLED_BY_SIGNAL_9 = -9
#: Starts of a child until the run ends.
_STARTS = 3
#: Messages of an assignment beside those for its samples: that it is loaded, and the result.
_MESSAGES = 16
#: Seconds that an interrupted run waits for the batches that are sampled already; schedulers kill after 30 s.
_SECONDS_AT_END = 10.0
#: What C++, Rust and Python print when they end a process that gets no memory.
_NO_MEMORY = re.compile(r"std::bad_alloc|memory allocation of \d+ bytes failed|MemoryError\b")
#: Held while a process is started: its environment and main module are then those of this whole process.
_STARTING = threading.Lock()


class SamplingError(CommunityForensicsError):
    """No generator can be sampled: no working safety checker, no device, or no space left."""


class ChildLostError(Exception):
    """The child died, or was killed because it did not answer."""

    def __init__(self, status: Status, detail: str, by_signal: bool = False) -> None:
        super().__init__(detail)
        self.status: Status = status
        self.detail = detail
        self.by_signal = by_signal


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
        self._channel: Channel | None = None
        self._process: multiprocessing.process.BaseProcess | None = None
        self._home: Path | None = None
        self._program: str | None = None
        self.walls: Walls = ()
        """The walls of the child's sandbox that stand."""

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._end()

    def start(self) -> Ready:
        """Start a child; returns the device that it samples on, and its sandbox layers. Raises `SamplingError`.

        One that a signal ends before it is ready, as when a driver crashes or memory is short for a moment, is started
        again: a run of days does not end for that.
        """
        self._start.stderr.write_bytes(b"")
        return self._started()

    def _started(self) -> Ready:
        """A child is started; what was printed before remains, for an outcome that is not written yet."""
        for starts_left in reversed(range(_STARTS)):
            try:
                return self._start_once()
            except ChildLostError as lost:
                if lost.by_signal and starts_left:
                    continue
                last = "; ".join(self.last_lines()[-3:])
                raise SamplingError(f"the sampling process does not start: {lost.detail}; {last}") from lost
        raise AssertionError("unreachable")

    def _start_once(self) -> Ready:
        # What one child leaves in its home is not there for the next one.
        home = Path(tempfile.mkdtemp(prefix="child-", dir=self._start.home))
        ours, its = self._context.Pipe(duplex=True)
        start = replace(self._start, home=home, without_walls=tuple(switched_off()))
        process = self._context.Process(target=main, args=(its, start), daemon=True)
        with _STARTING, clean_environment(self._start.home), _empty_main_module():
            process.start()
        # The child must hold the only other end, or its death would not be noticed.
        its.close()
        self._channel, self._process, self._home = Channel(ours), process, home
        try:
            ready = self._receive(time.monotonic() + self._timeout)
        except InvalidBatchError as error:
            self._end()
            raise SamplingError(f"the sampling process does not start: it sent {error}") from error
        if not isinstance(ready, Ready):
            raise SamplingError(f"the sampling process does not start: its first message is {ready}")
        self.walls = tuple(ready.sandbox)
        # Where this one is lost, the next one gets the same device or none: on another one images would differ.
        self._start = replace(self._start, device=ready.device)
        return ready

    def sample(
        self,
        assignment: Assignment,
        store: Callable[[list[Sample], dict[int, bytes]], None],
        report: Callable[[int], None] = lambda _: None,
    ) -> Result:
        """Sample one generator: `store` is called with the rows and images of every batch, `report` with the number of
        samples made. Raises `ChildLostError`, `SamplingError`, and what `store` raises.

        When it is interrupted (`KeyboardInterrupt`), the batches that are sampled already are still stored. After a
        failure that ended the child's use of its device another child is started at once: where the device is gone,
        that raises `SamplingError`, and the generator is not to blame.
        """
        try:
            result = self._sample(assignment, store, report)
        except ChildLostError as lost:
            if lost.status in ("crashed", "hung") and self._start.device not in ("cpu", "auto"):
                self._started()
            raise
        if result.device_lost:
            self._started()
        return result

    def _sample(
        self,
        assignment: Assignment,
        store: Callable[[list[Sample], dict[int, bytes]], None],
        report: Callable[[int], None],
    ) -> Result:
        if self._program not in (None, assignment.plan.generator):
            # Code of the user's ran in it, and may have changed what the next generator is computed with.
            self._end()
        self._program = assignment.plan.generator if assignment.plan.program is not None else None
        if self._channel is None:
            self.start()
        # The child writes in append mode, so it continues at the start: the lines in the file are this generator's.
        os.truncate(self._start.stderr, 0)
        assert self._channel is not None
        try:
            self._channel.send(pickle.dumps(assignment), seconds=self._timeout)
        except TimeoutError as error:
            self._end()
            raise ChildLostError("hung", "the sampling process takes no work") from error
        except OSError as error:
            raise self._lost() from error
        stop = assignment.plan.stop if assignment.stop is None else assignment.stop
        expected = Expected(plan=assignment.plan, next_index=assignment.first, stop=stop)
        # In a thread, so that an interrupt does not come between two bytes of a message or two files of a batch.
        with ThreadPoolExecutor(1, "receiving") as thread:
            receiving = thread.submit(self._receive_batches, expected, store, report)
            try:
                return receiving.result()
            except KeyboardInterrupt:
                self._ask_to_end(receiving)
                raise
            except InvalidBatchError as error:
                self._end()
                detail = f"the sampling process sent something else than its batch: {error}"
                raise ChildLostError("misbehaved", detail) from error
            except BaseException:
                # The next generator must not get what is left of this one.
                self._end()
                raise

    def unload(self) -> None:
        """Let the child remove the generator that stays loaded (`Assignment.stays`)."""
        if self._channel is not None:
            # A child that does not listen is noticed at the next assignment.
            with suppress(OSError):
                self._channel.send(pickle.dumps(Unload()), seconds=self._timeout)

    def _receive_batches(
        self,
        expected: Expected,
        store: Callable[[list[Sample], dict[int, bytes]], None],
        report: Callable[[int], None],
    ) -> Result:
        """Until the child's result. Each message that brings the work on gives it the time-out for the next one."""
        deadline, made, messages = time.monotonic() + self._timeout, -1, 0
        while True:
            message = self._receive(deadline)
            messages += 1
            if messages > _MESSAGES + 2 * len(expected.plan.samples):
                raise InvalidBatchError("too many messages")
            match message:
                case Result():
                    if message.status == "out-of-memory" or message.device_lost:
                        # Much of the memory may still be held, in fragments; or no call of the device succeeds any
                        # more. The next generator gets a new process.
                        self._end()
                    return message
                case Progress():
                    if message.tries > made:
                        made, deadline = message.tries, time.monotonic() + self._timeout
                    report(min(message.tries, expected.stop))
                case Batch():
                    contents = [self._image(row, deadline) for row in message.rows]
                    samples, images = checked_batch(message.rows, contents, expected)
                    store(samples, images)
                    expected.next_index += len(samples)
                    deadline = time.monotonic() + self._timeout
                case _:
                    raise InvalidBatchError(f"a message {type(message).__name__}")

    def _ask_to_end(self, receiving: Future[Result]) -> None:
        """Let the child send the batches that it has sampled, and end it."""
        try:
            if self._channel is not None:
                with suppress(OSError):
                    self._channel.send(pickle.dumps(None), seconds=1)
                wait([receiving], _SECONDS_AT_END)
        finally:
            self._end()

    def _image(self, row: dict[str, Any], deadline: float) -> bytes | None:
        size = image_size(row)
        if size is None:
            return None
        return self._bytes(size, deadline)

    @property
    def output(self) -> Path:
        """The file with what the child wrote to its standard output and error for this generator."""
        return self._start.stderr

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

    def _receive(self, deadline: float) -> FromChild:
        content = self._bytes(MAX_MESSAGE, deadline)
        try:
            message = decode(content)
        except ValueError as error:
            raise InvalidBatchError(str(error)) from error
        if isinstance(message, Fatal):
            self._end()
            raise SamplingError(message.detail)
        return message

    def _bytes(self, most: int, deadline: float) -> bytes:
        channel = self._channel
        if channel is None:
            raise ChildLostError("crashed", "the sampling process was ended")
        try:
            return channel.receive(most, max(0.0, deadline - time.monotonic()))
        except TimeoutError as error:
            self._end()
            raise ChildLostError("hung", f"nothing happened for {self._timeout:g} s (--timeout)") from error
        except ValueError as error:
            raise InvalidBatchError(str(error)) from error
        except (EOFError, OSError) as error:
            raise self._lost() from error

    def _lost(self) -> ChildLostError:
        """Why the child closed its end of the connection."""
        process = self._process
        self._channel = None
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
        return ChildLostError("crashed", f"the sampling process {how}", by_signal=code is not None and code < 0)

    def _end(self) -> None:
        process, channel, home = self._process, self._channel, self._home
        self._process = self._channel = self._home = None
        # In this order: a thread that reads gets the end of the file, and not another file of the same number.
        if process is not None:
            process.kill()
            # With all that it started, where the sandbox did not refuse that: the group has its number.
            with suppress(ProcessLookupError, PermissionError):
                if process.pid is not None:
                    os.killpg(process.pid, signal.SIGKILL)
            process.join(timeout=10)
        if channel is not None:
            channel.close()
        if home is not None:
            remove_folder(home)


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
