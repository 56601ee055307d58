"""Processes that are forked from one which has imported the code, so that a start takes no second."""

import gc
import multiprocessing
import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from typing import Any
from unittest import mock

#: Held while a process is started: what is patched for that is one for all servers.
_STARTING = threading.Lock()


class Server:
    """A server with its own imports. That of `multiprocessing`, one for a whole run of tests, is left to the samplers:
    where it has other imports, each of their processes imports diffusers again."""

    def __init__(self, *modules: str, environment: Mapping[str, str] = os.environ) -> None:
        self._server, self._environment, self._started_by = forkserver.ForkServer(), environment, 0
        self._server.set_forkserver_preload(list(modules))

    @property
    def is_inherited(self) -> bool:
        """Whether this process is a fork of the one that started the server: it cannot use it."""
        return self._started_by not in (0, os.getpid())

    def start(self, work: Callable[..., object], *arguments: Any) -> ForkServerProcess:
        """A process that calls `work`, a function of a module that was preloaded."""
        process = multiprocessing.get_context("forkserver").Process(target=_work, args=(work, arguments))
        with _STARTING:
            if not self._started_by:
                with mock.patch.dict(os.environ, dict(self._environment), clear=True):
                    self._server.ensure_running()
                self._started_by = os.getpid()
            with mock.patch.object(forkserver, "connect_to_new_process", self._server.connect_to_new_process):
                process.start()
        return process


def _work(work: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    # The garbage collector need not visit what the server has imported, which takes half a second each time.
    gc.freeze()
    work(*arguments)


class Forked:
    """As much of `subprocess.Popen` as is used, of a forked process."""

    def __init__(self, process: ForkServerProcess) -> None:
        assert process.pid is not None
        self._process, self.pid = process, process.pid
        self.returncode: int | None = None
        self.kill, self.terminate = process.kill, process.terminate

    def poll(self) -> int | None:
        self.returncode = self._process.exitcode
        return self.returncode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        return code
