"""Parameters that several subcommands of `cf-detect` have."""

from collections.abc import Sequence
from typing import Annotated

import typer

from detectors.data.kin import Kin
from detectors.protocols.folds import PROTOCOLS
from workspace.errors import UsageError

Data = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SRC",
        help="Images: the folder of a workspace, a published dataset (ORG/NAME[@REVISION], or its folder), a folder "
        "tree, or a .csv with path, label and generator. May be repeated. [default: the workspace]",
    ),
]
Protocol = Annotated[str, typer.Option(metavar="P", help=f"Who trains and who is tested: {PROTOCOLS}.")]
Seed = Annotated[int, typer.Option(min=0, help="Random seed of the folds.")]
KinOption = Annotated[
    Kin,
    typer.Option(
        help="Generators that are related to a tested one. exclude: they do not train; ignore: as in the study.",
    ),
]
Device = Annotated[str, typer.Option(help="Device as torch names it; auto: the first GPU, where there is one.")]
ShardOption = Annotated[
    str, typer.Option("--shard", metavar="I/N", help="This process's share of the work, such as 3/16, or auto.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A hyper-parameter of the model, such as lr=1e-4; an unknown one lists all. May be repeated.",
    ),
]


def settings_of(texts: Sequence[str]) -> dict[str, str]:
    """The hyper-parameters that `--set` names. Raises `UsageError`."""
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {text}: must be KEY=VALUE, such as lr=1e-4")
        found[key] = value
    return found
