"""`cf-detect audit`."""

from pathlib import Path
from typing import Annotated

import typer

from detectors.options import AuditOptions
from detectors.parameters import Data
from workspace.command_line import Command
from workspace.layout import Needs
from workspace.opening import opened
from workspace.parameters import WorkspaceOption
from workspace.terminal import say


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=Command)(audit)


def audit(
    workspace: WorkspaceOption = Path("workspace"),
    data: Data = None,
    matched: Annotated[
        bool,
        typer.Option(
            "--matched",
            help="Choose pairs of a generated and a real image whose files are alike, audit them beside the whole, and "
            "measure every detector on them.",
        ),
    ] = AuditOptions.matched,
) -> None:
    """Measure how well real and generated images are told apart by facts of their files alone.

    Formats, sizes, compression, and simple statistics of pixels, with generators and real images held out. AUROC 0.5 is
    chance; above 0.6 there is a warning: a detector could learn this instead of traces of generation.

    Examples:

        cf-detect audit

        cf-detect audit --data /data/GenImage --matched
    """
    from detectors.stage import audit_data

    options = AuditOptions(data=tuple(data or ()), matched=matched)
    with opened(workspace, Needs(images=True, manifest=True), create=bool(data)) as space:
        for line in audit_data(space, options).lines():
            say(line)
