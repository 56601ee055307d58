"""cf-crawl: the Hub -> workspace/catalog.parquet."""

from pathlib import Path
from typing import Annotated, NoReturn, get_args

import typer

from crawler.options import Kind
from workspace import command_line, errors

_KINDS = get_args(Kind)
#: Models that a crawl takes at most, where nobody says how many.
DEFAULT_LIMIT = 5000


def crawl(
    workspace: Annotated[Path, typer.Option(envvar="CF_WORKSPACE", help="Folder that the stages share.")] = Path(
        "workspace"
    ),
    limit: Annotated[
        int | None,
        typer.Option(min=1, help=f"Models at most, by downloads.  [default: {DEFAULT_LIMIT}; all that --from names]"),
    ] = None,
    min_downloads: Annotated[int, typer.Option(min=0, help="Downloads of the last 30 days at least.")] = 0,
    author: Annotated[str | None, typer.Option(help="Only models of this user or organization.")] = None,
    kinds: Annotated[str, typer.Option(help="Kinds of models, separated by commas.")] = ",".join(_KINDS),
    include: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Only names like this (shell pattern; may be repeated).")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="No names like this (shell pattern; may be repeated).")
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Only models that this Parquet or CSV names (a former catalogue)."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Models looked into at the same time.")] = 8,
    explain: Annotated[
        str | None,
        typer.Option(metavar="ORG/NAME", help="Ask nobody: print this row of the catalogue, with every origin."),
    ] = None,
) -> None:
    """Rank the Hub's diffusers repositories, look into each, and write catalog.parquet.

    Run again, it asks about nothing that has not changed; interrupted, it continues.

    Examples:

        cf-crawl --limit 5000

        cf-crawl --author stabilityai --kinds checkpoint

        cf-crawl --min-downloads 1000 --exclude '*/*-gguf'

        cf-crawl --from former/catalog.parquet

        cf-crawl --explain stabilityai/sdxl-turbo
    """
    from workspace.layout import Workspace

    if explain is not None:
        from crawler.explanation import print_explanation

        print_explanation(Workspace(workspace), explain)
        return
    from crawler.crawl import crawl as run
    from crawler.hub.client import Hub
    from crawler.hub.from_file import read_names
    from crawler.hub.listing import Selection
    from crawler.summary import print_summary

    names = read_names(from_) if from_ is not None else None
    selection = Selection(
        limit=limit or (len(names) if names is not None else DEFAULT_LIMIT),
        kinds=_parse_kinds(kinds),
        min_downloads=min_downloads,
        author=author,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
    )
    opened = Workspace.open(workspace)
    print_summary(run(opened, selection, Hub(), workers, names), opened.catalog)


def _parse_kinds(text: str) -> tuple[Kind, ...]:
    """Kinds in their own order, whatever order they were given in; raises `UsageError` for others."""
    given = {kind.strip() for kind in text.split(",")}
    unknown = sorted(given - set(_KINDS))
    if unknown:
        raise errors.UsageError(f"--kinds {text!r}: {unknown[0]!r} is none of {', '.join(_KINDS)}")
    return tuple(kind for kind in _KINDS if kind in given)


def main() -> NoReturn:
    """Run the command line."""
    command_line.run_command(crawl)


if __name__ == "__main__":
    main()
