"""The options of a command line that choose generators, the same for the crawl and for sampling."""

from typing import Annotated, TypeAlias

import typer

#: How generators are named, for the help of the options that name them.
NAMED = "ORG/NAME, a pattern such as 'ORG/*', or @FILE with one of these a line. May be repeated."

#: The panel of the help.
WHICH_GENERATORS = "Which generators"

Only: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="NAME", help=f"Only these generators: {NAMED}", rich_help_panel=WHICH_GENERATORS),
]
Exclude: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="NAME",
        help="Not these generators, named as for --only. May be repeated.",
        rich_help_panel=WHICH_GENERATORS,
    ),
]
LicenseAllow: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--license-allow",
        metavar="LICENCE,...",
        help="Only generators with these licences in effect (their base models' included): mit, a family such as "
        "openrail or unknown, or none. May be repeated.",
        rich_help_panel=WHICH_GENERATORS,
    ),
]
LicenseDeny: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--license-deny",
        metavar="LICENCE,...",
        help="No generators with these licences, named as for --license-allow. May be repeated.",
        rich_help_panel=WHICH_GENERATORS,
    ),
]
MaxSize: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--max-size",
        metavar="SIZE",
        help="No generators whose download is larger, such as 20GB.",
        rich_help_panel=WHICH_GENERATORS,
    ),
]
Architectures: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--architecture",
        metavar="NAME,...",
        help="Only LatDiff, PixDiff, GAN, Other or Commercial, or pipeline classes such as 'Flux*'. May be repeated.",
        rich_help_panel=WHICH_GENERATORS,
    ),
]
