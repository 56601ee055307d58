"""cf-crawl: the Hub -> workspace/catalog.parquet."""

from pathlib import Path
from typing import Annotated, NoReturn, cast

import typer

from crawler.choice_parameters import (
    NAMED,
    WHICH_GENERATORS,
    Architectures,
    Exclude,
    LicenseAllow,
    LicenseDeny,
    MaxSize,
)
from crawler.options import DEFAULT_LIMIT, CrawlOptions, Kind
from workspace import command_line
from workspace.parameters import WorkspaceOption


def crawl(
    workspace: WorkspaceOption = Path("workspace"),
    limit: Annotated[
        int | None,
        typer.Option(
            help=f"Maximum number of models, most downloaded first.  [default: {DEFAULT_LIMIT}; --from: all named]",
            rich_help_panel=WHICH_GENERATORS,
        ),
    ] = CrawlOptions.limit,
    min_downloads: Annotated[
        int, typer.Option(help="Minimum number of downloads in the last 30 days.", rich_help_panel=WHICH_GENERATORS)
    ] = CrawlOptions.min_downloads,
    author: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Only models of this user or organization.", rich_help_panel=WHICH_GENERATORS
        ),
    ] = CrawlOptions.author,
    kinds: Annotated[
        str, typer.Option(help="Kinds of models, separated by commas.", rich_help_panel=WHICH_GENERATORS)
    ] = ",".join(CrawlOptions.kinds),
    include: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            "--include",
            metavar="NAME",
            help=f"Only these models: {NAMED} --include is the same.",
            rich_help_panel=WHICH_GENERATORS,
        ),
    ] = None,
    exclude: Exclude = None,
    license_allow: LicenseAllow = None,
    license_deny: LicenseDeny = None,
    max_size: MaxSize = CrawlOptions.max_size,  # type: ignore[assignment]
    architecture: Architectures = None,
    from_file: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Only models that this Parquet, CSV, TOML or text file names (an old catalogue), folders and "
            ".safetensors checkpoints on this machine too (docs/local-generators.md).",
            rich_help_panel=WHICH_GENERATORS,
        ),
    ] = CrawlOptions.from_file,
    include_test_repositories: Annotated[
        bool,
        typer.Option(
            "--include-test-repositories",
            help="Also inspect tiny models for software tests (hf-internal-testing).",
            rich_help_panel=WHICH_GENERATORS,
        ),
    ] = CrawlOptions.include_test_repositories,
    update: Annotated[
        bool,
        typer.Option(
            "--update",
            help="Add new generators, new revisions and other settings to a workspace that was sampled, as another "
            "round (docs/rounds.md).",
        ),
    ] = CrawlOptions.update,
    replace_revisions: Annotated[
        bool,
        typer.Option(
            "--replace-revisions", help="With --update: generators with a new revision get no more images of the old."
        ),
    ] = CrawlOptions.replace_revisions,
    workers: Annotated[int, typer.Option(help="Models inspected in parallel, 1 to 64.")] = CrawlOptions.workers,
    explain: Annotated[
        str | None,
        typer.Option(
            metavar="ORG/NAME",
            help="Print this row of the catalogue with the source of each value. Does not contact the Hub.",
        ),
    ] = None,
) -> None:
    """Rank the Hub's diffusers repositories, inspect each one, and write catalog.parquet.

    A second run inspects only what has changed. An interrupted run continues.

    Examples:

        cf-crawl --limit 5000

        cf-crawl --author stabilityai --kinds checkpoint

        cf-crawl --min-downloads 1000 --exclude '*/*-gguf'

        cf-crawl --license-deny non-commercial,research-only,unknown --max-size 20GB

        cf-crawl --only @names.txt

        cf-crawl --from former/catalog.parquet

        cf-crawl --from generators.toml               # also folders and checkpoints on this machine

        cf-crawl --update --limit 6000

        cf-crawl --explain stabilityai/sdxl-turbo
    """
    from workspace.layout import Needs
    from workspace.opening import opened

    if explain is not None:
        from crawler.explanation import print_explanation

        with opened(workspace, Needs(writes=False), create=False) as space:
            print_explanation(space, explain)
        return
    from crawler.crawl import crawl as run
    from crawler.summary import print_summary

    options = CrawlOptions(
        limit=limit,
        min_downloads=min_downloads,
        author=author,
        kinds=cast(tuple[Kind, ...], tuple(kind.strip() for kind in kinds.split(","))),
        include=tuple(include or CrawlOptions.include),
        exclude=tuple(exclude or CrawlOptions.exclude),
        license_allow=tuple(license_allow or ()),
        license_deny=tuple(license_deny or ()),
        max_size=max_size,
        architecture=tuple(architecture or ()),
        from_file=from_file,
        include_test_repositories=include_test_repositories,
        update=update,
        replace_revisions=replace_revisions,
        workers=workers,
    )
    with opened(workspace) as space:
        print_summary(run(space, options), space.catalog)


def main() -> NoReturn:
    """Run the command line."""
    command_line.run_command(crawl)


if __name__ == "__main__":
    main()
