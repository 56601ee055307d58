"""The options of a command line that choose generators, the same for the crawl and for sampling."""

from typing import Annotated, TypeAlias

import typer

#: How generators are named, for the help of the options that name them.
NAMED = "ORG/NAME, a pattern such as 'ORG/*', or @FILE with one of these a line. May be repeated."

Exclude: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="NAME", help="Not these generators, named as for --only. May be repeated."),
]
LicenseAllow: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--license-allow",
        metavar="LICENCE,...",
        help="Only generators with these licences in effect (their base models' included): mit, a family such as "
        "openrail or unknown, or none. May be repeated.",
    ),
]
LicenseDeny: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--license-deny",
        metavar="LICENCE,...",
        help="No generators with these licences, named as for --license-allow. May be repeated.",
    ),
]
MaxSize: TypeAlias = Annotated[
    str | None,
    typer.Option("--max-size", metavar="SIZE", help="No generators whose download is larger, such as 20GB."),
]
Architectures: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--architecture",
        metavar="NAME,...",
        help="Only LatDiff, PixDiff, GAN or Other, or pipeline classes such as 'Flux*'. May be repeated.",
    ),
]
