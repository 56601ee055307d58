"""One hierarchy of errors, and the one place that turns them into words and an exit code.

An error is for the reader: what was wrong, where, and what to do about it, in one line. `UsageError` is the
caller's to mend (exit code 2, as command lines use it); any other `CommunityForensicsError` is a failure of the
run (exit code 1). Everything else is a defect of ours and keeps its traceback.
"""

import signal
import sys
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
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except CommunityForensicsError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _say_interrupted()
        sys.exit(INTERRUPTED_EXIT_CODE)
    except Exception as error:
        # An interrupt inside a library's C code comes out as that library's error (an import that failed, say).
        if not _comes_from_an_interrupt(error):
            raise
        _say_interrupted()
        sys.exit(INTERRUPTED_EXIT_CODE)
    except SystemExit as end:
        # typer turns Ctrl-C into this exit code by itself, without a word.
        if end.code == INTERRUPTED_EXIT_CODE:
            _say_interrupted()
        raise
    sys.exit(0)


def _comes_from_an_interrupt(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say_interrupted() -> None:
    typer.echo("interrupted: what is finished is kept; the same command continues from there", err=True)
