"""Runs the tests in several processes, which are forked when all libraries are imported and all tests are collected.

    pytest -p tests.workers --workers 4

Imports and collection take longer than many a test, and a process that starts anew (pytest-xdist) does them again. The
processes take one group of tests after the other (`tests/grouping.py`), and send pytest's reports to the first one,
which prints and counts them as its own. Where a process dies, the test that it was at has failed, and another process
goes on with the next one.
"""

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, NoReturn

import pytest
from _pytest.capture import CaptureManager

from tests.grouping import grouped

#: Bytes of a group's number in the queue.
_NUMBER = 4


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--workers", type=int, default=0, help="processes that run the tests; 0: this one does")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run all tests in worker processes. None, for pytest's own loop: without `--workers`, or nothing is to be run."""
    workers = session.config.getoption("workers")
    if not workers or session.testsfailed or session.config.option.collectonly:
        return None
    _Run(session).run(workers)
    return True


class _Run:
    """The first process: it starts the others and gets their reports."""

    def __init__(self, session: pytest.Session) -> None:
        self._session, self._hook = session, session.config.hook
        self._groups = grouped(session.items)
        self._items = {item.nodeid: item for item in session.items}
        self._workers: dict[Connection, _Worker] = {}
        # A pipe is a queue: each worker reads the number of its next group, until there is none.
        self._queue, entry = os.pipe()
        os.write(entry, b"".join(number.to_bytes(_NUMBER) for number in range(len(self._groups))))
        os.close(entry)
        self._folder = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        self._started = 0

    def run(self, workers: int) -> None:
        """Run all groups. Raises as pytest's own loop does where the run is to be stopped."""
        try:
            for _ in range(workers):
                self._start([])
            while self._workers:
                for connection in wait(list(self._workers)):
                    self._receive(self._workers[connection])  # type: ignore[index]
                    if self._session.shouldfail:
                        raise self._session.Failed(self._session.shouldfail)
                    if self._session.shouldstop:
                        raise self._session.Interrupted(self._session.shouldstop)
        finally:
            for worker in self._workers.values():
                os.kill(worker.pid, signal.SIGINT)  # it ends its fixtures
            for worker in self._workers.values():
                worker.join()
            os.close(self._queue)

    def _start(self, first: list[pytest.Item]) -> None:
        """Start a worker; `first` are the tests that it begins with."""
        ours, theirs = Pipe(duplex=False)
        capture = self._session.config.pluginmanager.getplugin("capturemanager")
        capture.suspend_global_capture(in_=True)
        self._started += 1
        pid = os.fork()
        if pid == 0:
            for connection in (ours, *self._workers):
                connection.close()
            _work(self._session, theirs, self._tests(first), self._folder / f"worker-{self._started}", capture)
        theirs.close()
        capture.resume_global_capture()
        self._workers[ours] = _Worker(pid, ours)

    def _tests(self, first: list[pytest.Item]) -> Iterator[pytest.Item]:
        yield from first
        while number := os.read(self._queue, _NUMBER):
            yield from self._groups[int.from_bytes(number)]

    def _receive(self, worker: "_Worker") -> None:
        kind, content = worker.received()
        if kind == "end":
            del self._workers[worker.connection]
            self._end(worker, worker.join())
        elif kind == "start":
            worker.item = self._items[content]
            self._hook.pytest_runtest_logstart(nodeid=content, location=worker.item.location)
        elif kind == "report":
            report = self._hook.pytest_report_from_serializable(config=self._session.config, data=content)
            self._hook.pytest_runtest_logreport(report=report)
        elif kind == "finish":
            assert worker.item is not None
            self._hook.pytest_runtest_logfinish(nodeid=content, location=worker.item.location)
            worker.item = None
        elif kind == "warning":
            text, category, file, line, *rest = content
            message = warnings.WarningMessage(category(text), category, file, line)
            when, nodeid, location = rest
            self._hook.pytest_warning_recorded.call_historic(
                kwargs={"warning_message": message, "when": when, "nodeid": nodeid, "location": location}
            )

    def _end(self, worker: "_Worker", code: int) -> None:
        """A worker has ended; where it was at a test, this test has failed, and the others of its group go on."""
        if (item := worker.item) is None:
            if code:
                raise self._session.Failed(f"a worker ended with exit code {code} between two tests")
            return
        report = pytest.TestReport(
            item.nodeid, item.location, dict.fromkeys(item.keywords, 1), "failed",
            f"its process ended with exit code {code}", "call",
        )  # fmt: skip
        self._hook.pytest_runtest_logreport(report=report)
        self._hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        (group,) = (group for group in self._groups if item in group)
        self._start(group[group.index(item) + 1 :])


class _Worker:
    """Another process, and the test that it is at."""

    def __init__(self, pid: int, connection: Connection) -> None:
        self.pid, self.connection = pid, connection
        self.item: pytest.Item | None = None

    def received(self) -> tuple[str, Any]:
        """What it sends: the kind of the message and its content."""
        try:
            return self.connection.recv()  # type: ignore[no-any-return]
        except EOFError:
            return "end", None

    def join(self) -> int:
        """Wait for its end; returns its exit code, or the number of the signal that ended it, as a negative one."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def _work(
    session: pytest.Session, connection: Connection, tests: Iterator[pytest.Item], folder: Any, capture: CaptureManager
) -> NoReturn:
    """The life of a worker."""
    code = 1
    try:
        inherited, capture._global_capturing = capture._global_capturing, None  # noqa: F841 - kept open: the first one's
        capture.start_global_capturing()
        folder.mkdir()
        session.config._tmp_path_factory._basetemp = folder  # type: ignore[attr-defined]
        plugins = session.config.pluginmanager
        # The first process prints. What is left is for pytest-timeout, which prints stacks before it ends a process.
        reporter = plugins.unregister(name="terminalreporter")
        plugins.register(_Terminal(reporter._tw), "terminalreporter")
        reporting = _Reporting(session.config, connection)
        plugins.register(reporting)
        reporting.repeated = False
        item = next(tests, None)
        while item is not None:
            following = next(tests, None)
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            item = following
        code = 0
    except KeyboardInterrupt:
        session._setupstate.teardown_exact(None)
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
    finally:
        capture.suspend_global_capture()
        sys.stdout.flush()
        sys.stderr.flush()
        connection.close()
        os._exit(code)  # what is registered for the end of the process is the first one's


class _Terminal:
    """No plugin, only what it writes with."""

    def __init__(self, writer: Any) -> None:
        self._tw = writer


class _Reporting:
    """Sends what pytest reports to the first process."""

    def __init__(self, config: pytest.Config, connection: Connection) -> None:
        self._config, self._connection = config, connection
        #: A plugin first gets all warnings that were recorded before.
        self.repeated = True

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._connection.send(("start", nodeid))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._connection.send(("report", data))

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._connection.send(("finish", nodeid))

    def pytest_warning_recorded(
        self, warning_message: warnings.WarningMessage, when: str, nodeid: str, location: tuple[str, int, str] | None
    ) -> None:
        if self.repeated:
            return
        shown = warning_message
        # Not every category of a library can be made anew from its text.
        category = shown.category if shown.category.__module__ == "builtins" else Warning
        text = str(shown.message) if category is shown.category else f"{shown.category.__name__}: {shown.message}"
        self._connection.send(("warning", (text, category, shown.filename, shown.lineno, when, nodeid, location)))
