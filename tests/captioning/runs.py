"""Runs of the captioning stage: as a command line in a process, or in this process where the process is not the point.

A process imports torch and transformers, which takes seconds. So `start` forks it from a server that has imported them
already: a process of its own all the same, with its own arguments, output, signals and exit code. What its environment
changes before an import (the Hub's address) needs `run_fresh`.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path

from captioning.options import CaptionOptions
from captioning.stage import SourceSummary, caption
from demo.zoo.captioner import REPOSITORY
from workspace.layout import Workspace

TIMEOUT = 120.0


def caption_here(workspace: Path, sources: dict[str, Path], **options: object) -> list[SourceSummary]:
    """The stage in this process, with the demo's captioner."""
    settings = {"captioner": str(REPOSITORY), "device": "cpu", "workers": 1} | options
    return caption(Workspace(workspace), sources, CaptionOptions(**settings))  # type: ignore[arg-type]


class Run:
    """A running `cf-caption`, in a process of its own."""

    def __init__(self, arguments: Sequence[object]) -> None:
        self._output = Path(tempfile.mkdtemp(prefix="cf-run-"))
        self._process = _server().Process(target=_cf_caption, args=([*map(str, arguments)], self._output))
        self._process.start()

    @property
    def returncode(self) -> int | None:
        """As of `subprocess.Popen`; None while it runs."""
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def send_signal(self, number: int) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def wait(self) -> "subprocess.CompletedProcess[str]":
        """Its exit code and output, when it has ended."""
        self._process.join(TIMEOUT)
        assert self.returncode is not None, "cf-caption does not end"
        out, err = (self._read(name) for name in ("stdout", "stderr"))
        return subprocess.CompletedProcess("cf-caption", self.returncode, out, err)

    def _read(self, name: str) -> str:
        path = self._output / name
        return path.read_text() if path.exists() else ""  # killed before it began


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """cf-caption, to its end."""
    return Run(arguments).wait()


def run_fresh(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    """cf-caption in a new interpreter with this environment, to its end."""
    command = [sys.executable, "-c", "from captioning.cli import main; main()", *map(str, arguments)]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=TIMEOUT
    )


def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.captioning.preload"])
    return context


def _cf_caption(arguments: list[str], output: Path) -> None:
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(output / name, os.O_CREAT | os.O_WRONLY), descriptor)
    from captioning.cli import main

    sys.argv = ["cf-caption", *arguments]
    main()
