"""One hierarchy of errors, and the one place that turns them into words and an exit code.

An error is for the reader: what was wrong, where, and what to do about it, in one line. `UsageError` is the
caller's to mend (exit code 2, as command lines use it); any other `CommunityForensicsError` is a failure of the
run (exit code 1). Everything else is a defect of ours and keeps its traceback.
"""

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

import typer

#: What a shell reports for a process ended by Ctrl-C: 128 + SIGINT.
INTERRUPTED_EXIT_CODE = 130


class CommunityForensicsError(Exception):
    """Something failed that the reader should know in one line; exit code 1."""

    exit_code = 1


class UsageError(CommunityForensicsError):
    """The command cannot be carried out as given: a bad option, path, file or recipe; exit code 2."""

    exit_code = 2


class HubError(CommunityForensicsError):
    """The Hub did not answer, or not with what was asked for; exit code 1."""


def run(app: Callable[[], Any]) -> NoReturn:
    """Run a command line to its end: `app` parses `sys.argv` and works; then the process exits.

    SIGTERM, which schedulers send before they kill, is treated like Ctrl-C: unwind, keep what is finished, exit 130.
    """
    interrupted = threading.Event()

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        app()
    except BaseException as error:
        # The event, not the exception, says that it was an interrupt: typer makes an exit of it, and inside a library's
        # C code it comes out as that library's error (a failed import, a cancelled query).
        succeeded = isinstance(error, SystemExit) and error.code in (0, None)  # a server that was told to stop
        if interrupted.is_set() and not succeeded:
            typer.echo("interrupted: what is finished is kept; the same command continues from there", err=True)
            sys.exit(INTERRUPTED_EXIT_CODE)
        if not isinstance(error, CommunityForensicsError):
            raise
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    sys.exit(0)


def run_command(command: Callable[..., None]) -> NoReturn:
    """Run a stage's command line, which is one command: its parameters are the options, its docstring is the help."""
    app = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)
    app.command()(command)
    run(app)
