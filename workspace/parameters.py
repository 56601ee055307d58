"""The option of all command lines."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

WorkspaceOption: TypeAlias = Annotated[
    Path, typer.Option("--workspace", envvar="CF_WORKSPACE", help="The folder that all stages share.")
]
