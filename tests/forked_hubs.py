"""Hubs of the tests, forked from a process that has imported the server: a start takes no third of a second.

`localhub.process.HubProcess` starts each Hub in a new interpreter; `tests/localhub/test_process.py` shows that one.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from localhub.process import HubProcess
from tests.forking import Server

# Typer imports pydantic when it reads the options.
SERVER = Server("localhub.cli", "localhub.serve", "typer._adapters", __name__)
#: How a Hub is started in a new interpreter.
start_anew = HubProcess._start


class _Forked:
    """A Hub's process, with the parts of `subprocess.Popen` that `HubProcess` needs."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        theirs, ours = Pipe(duplex=False)
        arguments = command[command.index("localhub.cli") :]
        self._process = SERVER.start(_serve, arguments, dict(environment), str(Path.cwd()), theirs)
        theirs.close()
        self.stdin = os.fdopen(os.dup(ours.fileno()), "wb")
        ours.close()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("cf-hub", timeout or 0)
        return self._process.exitcode

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()


def _serve(arguments: list[str], environment: dict[str, str], folder: str, stdin: Connection) -> None:
    os.setsid()
    sys.stdin = os.fdopen(os.dup(stdin.fileno()))  # multiprocessing gave it one that is empty
    stdin.close()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = arguments
    from localhub.cli import main

    main()


def install() -> None:
    """Let every `HubProcess` of this process start its Hub so."""
    HubProcess._start = staticmethod(_Forked)  # type: ignore[assignment,method-assign]
