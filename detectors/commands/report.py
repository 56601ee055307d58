"""`cf-detect report`."""

from pathlib import Path
from typing import Annotated

import typer

from detectors.options import ReportOptions
from detectors.parameters import Data
from workspace.command_line import Command
from workspace.layout import Needs
from workspace.opening import opened
from workspace.parameters import WorkspaceOption
from workspace.terminal import say


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=Command)(report)


def report(
    workspace: WorkspaceOption = Path("workspace"),
    data: Data = None,
    pictures: Annotated[
        bool,
        typer.Option(
            "--pictures/--no-pictures", help="Whether it shows images that were judged best and worst, from --data."
        ),
    ] = ReportOptions.pictures,
) -> None:
    """Compute the results of all runs, and write the page report/detect.html.

    It needs the scores only: neither the models nor, but for its pictures, the images.

    Examples:

        cf-detect report

        cf-detect report --no-pictures   # where the images are elsewhere
    """
    from detectors.reporting import write_report

    options = ReportOptions(data=tuple(data or ()), pictures=pictures)
    with opened(workspace, Needs(images=True, manifest=True), create=False) as space:
        written = write_report(space, options)
        for line in written.remarks:
            say(line)
        say(f"report: {written.path}")
