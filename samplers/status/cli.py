"""cf-status: the progress of cf-sample on all shards."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from workspace.command_line import run_command
from workspace.errors import UsageError
from workspace.extras import require_extra
from workspace.layout import Needs, Workspace
from workspace.opening import is_address, opened, require_folder
from workspace.parameters import WorkspaceOption
from workspace.terminal import say


def status(
    workspace: WorkspaceOption = Path("workspace"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON instead of tables.")] = False,
    rounds: Annotated[
        bool, typer.Option("--rounds", help="Also show what each round of the recipe added, and has of its images.")
    ] = False,
    json_schema: Annotated[
        bool, typer.Option("--json-schema", help="Print the JSON Schema of --json, and end.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show the status again and again, until Ctrl-C.")] = False,
    every: Annotated[
        float, typer.Option(min=0.1, help="Seconds between two updates of --watch, or of the page of --serve.")
    ] = 10,
    serve: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=0,
            max=65535,
            help="Serve a page that refreshes, with the newest images, and /metrics for Prometheus, until Ctrl-C; 0: "
            "any free port.",
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(help="Address for --serve. Other machines can connect only if this is not a loopback address."),
    ] = "127.0.0.1",
) -> None:
    """Show the progress of sampling: what is done, left and failed, the speed, and how the time is spent.

    It reads the files of the workspace and changes nothing, so it may run on any node, during a run or after it. Every
    failed generator is named, with what to do. A shard that has not stopped, but has logged nothing for a minute, is
    called silent; one whose process shows no sign of life, killed.

    Examples:

        cf-status                      # once

        cf-status --watch --every 5    # until Ctrl-C

        cf-status --rounds             # also: what each round of a workspace that grew added

        cf-status --json               # for programs

        cf-status --serve 8765         # a page with the newest images, and /metrics
    """
    from samplers.status.display import Screen
    from samplers.status.json_form import schema_text
    from samplers.status.rounds import rounds_of
    from samplers.status.run import RunStatus, Watcher

    if json_schema:
        say(schema_text().rstrip())
        return
    if not is_address(workspace) and not workspace.is_dir():
        raise UsageError(f"--workspace {workspace} does not exist: name the folder that cf-sample uses")
    if serve is not None:
        require_folder(workspace, "cf-status --serve")
        space = Workspace(workspace.resolve())
        require_extra("status", "cf-status --serve")
        if as_json or watch or rounds:
            raise UsageError("--serve shows the status by itself: leave out --json, --watch and --rounds")
        from samplers.status.live.serve import serve as serve_page

        serve_page(space, host, serve, every)
        return
    with opened(workspace, Needs(writes=False, logs=True, follows=watch), create=False) as space:
        watcher = Watcher(space)

        def look() -> RunStatus:
            status = watcher.look(time.time())
            return replace(status, rounds=rounds_of(space)) if rounds else status

        try:
            with Screen(as_json, live=watch) as screen:
                screen.show(look())
                while watch:
                    time.sleep(every)
                    screen.show(look())
        except KeyboardInterrupt:
            # Ctrl-C is the usual end of --watch; without it, the command was interrupted.
            if not watch:
                raise


def main() -> None:
    """The console script."""
    run_command(status)
