"""cf-status: how a run of cf-sample stands, on all its shards."""

import time
from pathlib import Path
from typing import Annotated

import typer

from workspace.command_line import run_command
from workspace.errors import UsageError
from workspace.layout import Workspace


def status(
    workspace: Annotated[Path, typer.Option(envvar="CF_WORKSPACE", help="The folder the stages share.")] = Path(
        "workspace"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a look instead of tables.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks of --watch.")] = 10,
) -> None:
    """Show how sampling stands: what is done, left and failed, how fast it goes, and where the time goes.

    It reads the files of the workspace and changes nothing, so it may run on any node, during a run or after it. A
    shard that has not stopped, but of which nothing was heard for a minute, is called silent.

    Examples:

        cf-status                      # once

        cf-status --watch --every 5    # until Ctrl-C

        cf-status --json               # for other programs
    """
    from samplers.status.overview import Screen
    from samplers.status.run import Watcher

    if not workspace.is_dir():
        raise UsageError(f"--workspace {workspace} does not exist: name the folder that cf-sample works in")
    watcher = Watcher(Workspace(workspace.resolve()))
    try:
        with Screen(as_json, live=watch) as screen:
            screen.show(watcher.look(time.time()))
            while watch:
                time.sleep(every)
                screen.show(watcher.look(time.time()))
    except KeyboardInterrupt:
        # It is how --watch ends; the end of a single look would be an interruption.
        if not watch:
            raise


def main() -> None:
    """The console script."""
    run_command(status)
