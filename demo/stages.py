"""Runs the command lines of the stages, each in a child process."""

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from workspace.errors import CommunityForensicsError

#: Seconds that a stage may take to end after Ctrl-C.
GRACE = 30.0


class StageError(CommunityForensicsError):
    """A stage ended with an error, which it has printed."""

    def __init__(self, command: Sequence[str], exit_code: int) -> None:
        super().__init__(f"`{' '.join(command)}` ended with exit code {exit_code}; see its message above")
        self.exit_code = exit_code


def run_stage(command: Sequence[str], environment: Mapping[str, str], console: Console) -> None:
    """Run one command line to its end, with its output on this terminal; raises `StageError` if it fails."""
    console.print(f"\n[bold]$ {' '.join(command)}[/bold]", highlight=False, soft_wrap=True)
    # The installed script beside this interpreter, which a user would run.
    script = str(Path(sys.executable).parent / command[0])
    with subprocess.Popen([script, *command[1:]], env=dict(environment)) as process:
        try:
            exit_code = process.wait()
        except KeyboardInterrupt:
            end(process)
            raise
    if exit_code != 0:
        raise StageError(command, exit_code)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Wait for an interrupted process; interrupt it if it still runs after 2 s, kill it after `GRACE` more."""
    # Ctrl-C in a terminal reaches all processes of the group, `kill -INT` only this one.
    for seconds, number in ((2.0, signal.SIGINT), (GRACE, signal.SIGKILL)):
        try:
            process.wait(seconds)
            return
        except subprocess.TimeoutExpired:
            process.send_signal(number)
