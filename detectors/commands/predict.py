"""`cf-detect predict`."""

from pathlib import Path
from typing import Annotated

import typer

from detectors.parameters import Device
from workspace.command_line import Command
from workspace.errors import CommunityForensicsError
from workspace.layout import Needs
from workspace.opening import opened
from workspace.parameters import WorkspaceOption
from workspace.terminal import say


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=Command)(predict)


def predict(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A finished run, whose name may be shortened.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Image files.")],
    workspace: WorkspaceOption = Path("workspace"),
    device: Device = "auto",
) -> None:
    """Say of image files how likely they are generated.

    A line a file: the probability, the verdict by the threshold that validation gave, and the file. A file that is no
    readable image is named, and the exit code is 1.

    Example:

        cf-detect predict cf-vit-s-384-0123abcd picture.jpg other.png
    """
    from detectors.prediction import predict as predicted
    from detectors.run import Run
    from workspace.number_text import counted

    unread = 0
    with opened(workspace, Needs(writes=False), create=False) as space:
        for found in predicted(Run.find(space, run), files, device):
            if found.probability is None:
                unread += 1
                say(f"unreadable ({found.unreadable})  {found.path}")
            else:
                say(f"{found.probability:.3f}  {'generated' if found.generated else 'real     '}  {found.path}")
    if unread:
        raise CommunityForensicsError(f"not readable as images: {unread} of {counted(len(files), 'file')}")
