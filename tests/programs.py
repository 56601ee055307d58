"""Programs of a user of a Hub: the installed commands, scripts and lines of Python, each in a process of its own.

A new interpreter imports torch, transformers and diffusers, which takes seconds, and `cf-sample` starts a fork server
that does so again. So a process is forked from a server that has imported them, and forks its sampling processes from
the same server, and its processes with limits too, which tests/workspace/limited starts anew, as users do. It has its
own arguments, environment, folder, output and exit code.
"""

import multiprocessing
import os
import runpy
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from multiprocessing import forkserver
from pathlib import Path

import psutil
from huggingface_hub import constants

from engines.local import _empty_main_module
from tests.forked_limited import serve
from tests.forking import _STARTING, Forked, Server
from workspace.environment import without_secrets
from workspace.limited import process as limited

#: Seconds until a program counts as hung.
TIMEOUT = 500.0


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit code (None: it hangs) and what it printed."""

    code: int | None
    out: str
    err: str


class Programs:
    """Runs programs in the environment of a user, whose Hub is read at import (HF_ENDPOINT)."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        # As the fork server of cf-sample: without the token.
        without_token = {name: value for name, value in environment.items() if name != "HF_TOKEN"}
        modules = ("samplers.child.preload", "tests.preload", __name__)
        self._server = Server(*modules, environment=without_token)

    def script(self, path: Path, *arguments: object, folder: Path | None = None) -> str:
        """Run a script to its end; returns what it printed."""
        return self._run(_script, str(path), arguments, folder)

    def source(self, code: str, *arguments: object, folder: Path | None = None) -> str:
        """The same with lines of Python, as `python -c`."""
        return self._run(_source, code, arguments, folder)

    def command(
        self, name: str, *arguments: object, folder: Path | None = None, interrupted: bool = False, **environment: str
    ) -> str:
        """The same with an installed command, and these variables in its environment.

        `interrupted`: it gets a Ctrl-C when it only waits.
        """
        return self._run(_command, name, arguments, folder, environment, interrupted)

    def end_of(self, name: str, *arguments: object, folder: Path | None = None, **environment: str) -> Ended:
        """How an installed command ends, whatever its exit code."""
        return self._end(_command, name, arguments, folder, environment)

    def _run(
        self,
        work: Callable[[str], object],
        program: str,
        arguments: tuple[object, ...],
        folder: Path | None,
        environment: Mapping[str, str] = {},
        interrupted: bool = False,
    ) -> str:
        ended = self._end(work, program, arguments, folder, environment, interrupted)
        assert ended.code == 0, f"{program} {arguments}: {ended}"
        return ended.out

    def _end(
        self,
        work: Callable[[str], object],
        program: str,
        arguments: tuple[object, ...],
        folder: Path | None,
        environment: Mapping[str, str] = {},
        interrupted: bool = False,
    ) -> Ended:
        with tempfile.TemporaryDirectory(prefix="cf-program-") as output:
            process = self._server.start(
                _start, work, program, [*map(str, arguments)], folder, self._environment | environment, output
            )
            if interrupted:
                assert process.pid is not None
                _wait_until_idle(process.pid)
                os.kill(process.pid, signal.SIGINT)
            process.join(TIMEOUT)
            out, err = (Path(output, name).read_text() for name in ("1", "2"))
        return Ended(process.exitcode, out, err)


def _wait_until_idle(pid: int) -> None:
    """Wait until a process uses no processor time for two seconds: a busy machine needs long to start it."""
    used, process = -1.0, psutil.Process(pid)
    while used != (now := sum(process.cpu_times()[:2])):
        used = now
        time.sleep(2)


def _start(
    work: Callable[[str], object],
    program: str,
    arguments: list[str],
    folder: Path | None,
    environment: dict[str, str],
    output: str,
) -> None:
    for descriptor in (1, 2):
        os.dup2(os.open(Path(output, str(descriptor)), os.O_CREAT | os.O_WRONLY), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    # Read when the server imported it; a program may have another Hub.
    constants.ENDPOINT = environment["HF_ENDPOINT"]
    if folder is not None:
        os.chdir(folder)
    # Its sampling processes come from the server that it comes from.
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[attr-defined]
    forkserver.ensure_running = lambda: None
    limited._started = _limited  # type: ignore[assignment]
    sys.argv = [program, *arguments]
    work(program)


def _limited(program: str, link: socket.socket, settings: str, environment: Mapping[str, str]) -> Forked:
    """Starts a process with limits, which is killed at the latest when the program has ended."""
    work = (program, link, settings, without_secrets() | environment)
    process = multiprocessing.get_context("forkserver").Process(target=serve, args=work, daemon=True)
    with _STARTING, _empty_main_module(serve):  # or it would run the script once more
        process.start()
    return Forked(process)


def _script(path: str) -> None:
    runpy.run_path(path, run_name="__main__")


def _source(code: str) -> None:
    exec(code, {"__name__": "__main__"})


def _command(name: str) -> None:
    (entry,) = entry_points(group="console_scripts", name=name)
    entry.load()()
