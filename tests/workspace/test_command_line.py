"""A command line ends with one clear line and the right exit code."""

import signal
import subprocess
import sys
import time
from importlib.metadata import version

import pytest

from tests.scale import scaled

PROGRAM = """
import time, typer
from workspace.command_line import run
from workspace.errors import CommunityForensicsError, UsageError
app = typer.Typer()
@app.command()
def main(what: str) -> None:
    if what == "usage": raise UsageError("no such thing: give another")
    if what == "failure": raise CommunityForensicsError("the disk is full")
    if what == "defect": raise ZeroDivisionError
    if what == "wait":
        print("ready", flush=True)
        time.sleep(30)
    if what == "library":
        print("ready", flush=True)
        try: time.sleep(30)
        except KeyboardInterrupt: pass
        raise RuntimeError("Query interrupted")
run(app)
"""


@pytest.mark.parametrize(
    ("what", "code", "stderr"),
    [
        ("usage", 2, "error: no such thing: give another\n"),
        ("failure", 1, "error: the disk is full\n"),
        ("fine", 0, ""),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(what: str, code: int, stderr: str) -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM, what], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (code, stderr)


def test_a_bug_keeps_its_traceback() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM, "defect"], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "ZeroDivisionError" in ended.stderr


# The C code of some libraries, such as DuckDB, handles the interrupt and raises another error.
@pytest.mark.parametrize(
    ("what", "number", "code"),
    [
        ("wait", signal.SIGINT, 130),
        ("library", signal.SIGINT, 130),
        ("library", signal.SIGTERM, 75),
        ("wait", signal.SIGUSR1, 75),
        ("wait", signal.SIGHUP, 75),
        *scaled([], [("library", signal.SIGUSR1, 75), ("wait", signal.SIGTERM, 75), ("library", signal.SIGHUP, 75)]),
    ],
)
def test_an_interrupt_says_that_the_same_command_continues(what: str, number: signal.Signals, code: int) -> None:
    command = [sys.executable, "-c", PROGRAM, what]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        # So that the wait is interrupted, not the code before it.
        time.sleep(0.5)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == code
    assert stderr == "interrupted: finished work is kept; run the same command again to continue\n"


COMMAND = """
from typing import Annotated
import typer
from workspace.command_line import run_command
def work(number: Annotated[int, typer.Option(help="How many.")] = 3, fast: bool = False) -> None:
    "Work."
    print(number, fast)
run_command(work)
"""


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", COMMAND, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_command_has_a_version() -> None:
    ended = _run("--version")
    assert (ended.returncode, ended.stdout) == (0, f"community-forensics {version('community-forensics')}\n")


def test_options_reach_the_command_with_their_defaults() -> None:
    assert _run("--number", "4").stdout == "4 False\n"


def test_help_shows_no_type_for_flags() -> None:
    shown = _run("--help").stdout
    assert "--fast" in shown
    assert "<int>" in shown
    assert "<bool>" not in shown


WITH_ARRAYS = """
import sys
from workspace.command_line import run_command
def work() -> None:
    "Work."
    import pyarrow as pa
    array = pa.array(["a", None], pa.string())
    print("pandas" in sys.modules)
    print(len(array.to_pandas()), "pandas" in sys.modules)
run_command(work)
"""


def test_a_command_does_not_import_pandas_for_arrays_and_gets_it_where_it_needs_it() -> None:
    ended = subprocess.run([sys.executable, "-c", WITH_ARRAYS], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("False\n2 True\n", "")
