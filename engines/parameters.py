"""The options of a command line that choose an engine, the same for all stages."""

from typing import Annotated, TypeAlias

import typer

from engines.engine import EngineName

#: The panel of the help.
SEVERAL_MACHINES = "Several machines"

EngineParameter: TypeAlias = Annotated[
    EngineName,
    typer.Option(
        "--engine",
        help="What starts processes: local, on this machine; ray, on a Ray cluster.",
        rich_help_panel=SEVERAL_MACHINES,
    ),
]
Address: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        help="With --engine ray: the head node of the cluster, or local to start one on this machine. Default: "
        "RAY_ADDRESS, else the cluster that runs on this machine.",
        rich_help_panel=SEVERAL_MACHINES,
    ),
]
Processes: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--processes",
        help="How many processes at a time. Default: with --engine ray, as many as the cluster has room for; else this "
        "one alone.",
        rich_help_panel=SEVERAL_MACHINES,
    ),
]
