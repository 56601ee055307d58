"""Runs of the captioning stage: as a command line in a process of its own, or in this process.

A new interpreter imports torch and transformers, which takes seconds. So `run` forks its process from a server that has
imported them already. It is still a process of its own, with arguments, output, signals and exit code. `run_fresh`
starts an interpreter, for variables of the environment that are read at import (HF_ENDPOINT).

For the same reason the captioner is loaded into these processes, except by `run_fresh`, and not into one of its own,
which would import them again; tests/captioning/test_sandboxed_captioner.py tests that one.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from captioning.captioner_process import load_here
from captioning.options import CaptionOptions
from captioning.stage import SourceSummary, caption
from demo.zoo.captioner import REPOSITORY
from tests.forking import Server
from workspace.layout import Workspace

#: Seconds until a run counts as hung.
TIMEOUT = 120.0

SERVER = Server("tests.captioning.preload")


def caption_here(workspace: Path, sources: dict[str, Path], **options: object) -> list[SourceSummary]:
    """Run the stage in this process, with the demo's captioner."""
    settings = {"captioner": str(REPOSITORY), "device": "cpu", "workers": 1} | options
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("captioning.stage.load_sandboxed", load_here)
        return caption(Workspace(workspace), sources, CaptionOptions(**settings))  # type: ignore[arg-type]


class Run:
    """A running `cf-caption`, in a process of its own."""

    def __init__(self, arguments: Sequence[object]) -> None:
        self._output = Path(tempfile.mkdtemp(prefix="cf-run-"))
        self._process = SERVER.start(_cf_caption, [*map(str, arguments)], self._output)

    @property
    def returncode(self) -> int | None:
        """As of `subprocess.Popen`: None while it runs."""
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def send_signal(self, number: int) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def wait(self) -> "subprocess.CompletedProcess[str]":
        """Wait for its end; returns exit code and output."""
        self._process.join(TIMEOUT)
        assert self.returncode is not None, "cf-caption did not end"
        out, err = (self._read(name) for name in ("stdout", "stderr"))
        shutil.rmtree(self._output)
        return subprocess.CompletedProcess("cf-caption", self.returncode, out, err)

    def _read(self, name: str) -> str:
        path = self._output / name
        return path.read_text() if path.exists() else ""  # killed before it started


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run cf-caption to its end."""
    return Run(arguments).wait()


def run_fresh(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run cf-caption to its end, in a new interpreter with these variables in its environment."""
    command = [sys.executable, "-c", "from captioning.cli import main; main()", *map(str, arguments)]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=TIMEOUT
    )


def _cf_caption(arguments: list[str], output: Path) -> None:
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(output / name, os.O_CREAT | os.O_WRONLY), descriptor)
    import captioning.stage
    from captioning.cli import main

    captioning.stage.load_sandboxed = load_here  # type: ignore[misc, assignment]
    sys.argv = ["cf-caption", *arguments]
    main()
