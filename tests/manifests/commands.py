"""The command lines, run in this process: as a person starts them, but without the second that a process takes."""

import contextlib
import io
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from manifests.cli import build_manifest


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def run(entry_point: Callable[[], None], *arguments: str) -> Done:
    """Call a command's entry point with these arguments."""
    stdout, stderr = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with (
            mock.patch.object(sys, "argv", [entry_point.__name__, *arguments]),
            contextlib.redirect_stdout(stdout),
            contextlib.redirect_stderr(stderr),
        ):
            entry_point()
    except SystemExit as ended:
        code = ended.code
    else:
        code = 0
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert isinstance(code, int | None), code
    return Done(code or 0, stdout.getvalue(), stderr.getvalue())


def build(workspace: Path, *options: str) -> Done:
    """Run cf-build-manifest."""
    return run(build_manifest, "--workspace", str(workspace), *options)


def restore(folder: Path, *copies: Path) -> Done:
    """Run cf-build-manifest --restore."""
    return build(folder, *(word for copy in copies for word in ("--restore", str(copy))))
