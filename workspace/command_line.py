"""What all command lines share: signals, error messages, exit codes, `--version`, and how the help looks."""

import inspect
import signal
import sys
from collections.abc import Callable
from functools import wraps
from importlib import metadata
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from workspace.errors import CommunityForensicsError, disk_error
from workspace.terminal import accept_every_character, say

#: The command did its work, and some generators failed.
SOME_FAILED_EXIT_CODE = 3
#: What a shell reports for a process ended by Ctrl-C: 128 + SIGINT.
INTERRUPTED_EXIT_CODE = 130
#: What batch systems send before they end a job: at its time limit, or because another job needs the node.
REQUEUE_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
#: `EX_TEMPFAIL` of sysexits.h: the work can be continued, so the job may be put back into the queue.
REQUEUE_EXIT_CODE = 75


class Command(TyperCommand):
    """A command whose help shows flags without a type: `--dry-run`, not `--dry-run <bool>`."""

    def get_params(self, ctx: Any) -> Any:
        """The parameters, as typer has them."""
        return _without_types_of_flags(super().get_params(ctx))


class Group(TyperGroup):
    """Several commands under one name, with flags as in `Command`."""

    def get_params(self, ctx: Any) -> Any:
        """The parameters, as typer has them."""
        return _without_types_of_flags(super().get_params(ctx))


def run(app: Callable[[], Any]) -> NoReturn:
    """Run a command line to its end: `app` parses `sys.argv` and does the work; then the process exits.

    Ctrl-C and `REQUEUE_SIGNALS` interrupt it: clean up, keep finished work, exit code 130 or `REQUEUE_EXIT_CODE`.
    """
    interrupted: list[int] = []

    def interrupt(number: int, _frame: FrameType | None) -> None:
        interrupted.append(number)
        raise KeyboardInterrupt

    accept_every_character()
    for number in (signal.SIGINT, *REQUEUE_SIGNALS):
        signal.signal(number, interrupt)
    try:
        app()
    except BaseException as error:
        # The list, not the exception, says that it was an interrupt: typer turns the exception into an exit, and a
        # library's C code into an error of that library (a failed import, a cancelled query).
        succeeded = isinstance(error, SystemExit) and error.code in (0, None)  # a server that was stopped
        if interrupted and not succeeded:
            say("interrupted: finished work is kept; run the same command again to continue", err=True)
            sys.exit(INTERRUPTED_EXIT_CODE if interrupted[0] == signal.SIGINT else REQUEUE_EXIT_CODE)
        if isinstance(error, OSError) and (refusal := disk_error(error)) is not None:
            error = refusal
        if not isinstance(error, CommunityForensicsError):
            raise
        say(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    sys.exit(0)


def run_command(command: Callable[..., None]) -> NoReturn:
    """Run a stage's command line, which is one command: its parameters are the options, its docstring is the help."""
    app = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)
    app.command(cls=Command)(with_version(_without_pandas(command)))
    run(app)


class _NoPandas:
    """Among the finders of `sys.meta_path`: there is no pandas."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        """Refuse the import of pandas; other modules are left to other finders."""
        if name == "pandas":
            raise ModuleNotFoundError("No module named 'pandas'", name=name)


def _without_pandas(command: Callable[..., None]) -> Callable[..., None]:
    """The command, in whose process pyarrow does not look for pandas by itself.

    Before it makes its first array of a given type, pyarrow imports pandas where it is installed, to recognise its
    values: a third of a second and 40 MB of every command, none of which has such values. It asks once. It still
    imports pandas where it has to find the type of values, and for `to_pandas`; so does whoever needs it.
    """

    @wraps(command)
    def lean(*arguments: Any, **options: Any) -> None:
        if "pandas" not in sys.modules:
            import pyarrow as pa

            sys.meta_path.insert(0, _NoPandas)
            try:
                pa.array([], pa.null())
            finally:
                sys.meta_path.remove(_NoPandas)
        command(*arguments, **options)

    return lean


def command_group(help: str) -> typer.Typer:
    """A command line of several commands: add each with `@app.command(cls=Command)`, run it with `run`."""
    app = typer.Typer(
        cls=Group,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        help=help,
    )
    app.callback()(with_version(lambda: None))
    return app


def with_version(command: Callable[..., None]) -> Callable[..., None]:
    """The command with one more option: `--version`."""

    def versioned(*arguments: Any, **options: Any) -> None:
        options.pop("version")
        command(*arguments, **options)

    option = Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_print_version)
    ]
    signature = inspect.signature(command)
    added = inspect.Parameter("version", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=option)
    versioned.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), added]
    )
    versioned.__annotations__ = {**inspect.get_annotations(command), "version": option}
    versioned.__doc__ = command.__doc__
    return versioned


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"community-forensics {metadata.version('community-forensics')}")
        raise typer.Exit


def _without_types_of_flags(parameters: Any) -> list[Any]:
    found: list[Any] = [*parameters]
    for parameter in found:
        if getattr(parameter, "is_flag", False):
            parameter.display_type_rich = _no_type
    return found


def _no_type(ctx: Any) -> None:  # noqa: ARG001 - typer calls it by name
    return None
