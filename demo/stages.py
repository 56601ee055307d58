"""Runs the project's own command lines as a person would type them, each in a process of its own."""

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from workspace.errors import CommunityForensicsError

#: Seconds a stage is given to end by itself once Ctrl-C has reached it.
GRACE = 30.0


class StageError(CommunityForensicsError):
    """A stage ended with an error; it has said why itself."""

    def __init__(self, command: Sequence[str], exit_code: int) -> None:
        super().__init__(f"`{' '.join(command)}` ended with exit code {exit_code}; its own words stand above")
        self.exit_code = exit_code


def run_stage(command: Sequence[str], environment: Mapping[str, str], console: Console) -> None:
    """Run one command line to its end, its output on this terminal; raises `StageError` when it fails."""
    console.print(f"\n[bold]$ {' '.join(command)}[/bold]", highlight=False, soft_wrap=True)
    # The installed script beside this interpreter: the one a person would start.
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
    """Let an interrupted process finish in peace; interrupt it when nobody has, kill it when it does not listen."""
    # A terminal's Ctrl-C reaches the whole group, `kill -INT` only this process.
    for seconds, number in ((2.0, signal.SIGINT), (GRACE, signal.SIGKILL)):
        try:
            process.wait(seconds)
            return
        except subprocess.TimeoutExpired:
            process.send_signal(number)
