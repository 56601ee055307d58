"""The command lines `cf-build-manifest` and `cf-publish`."""

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from workspace import command_line, errors
from workspace.layout import Workspace
from workspace.size import bytes_of

WorkspaceOption = Annotated[Path, typer.Option(envvar="CF_WORKSPACE", help="The folder the stages share.")]


class Verification(StrEnum):
    """How many of the files are looked into."""

    quick = "quick"
    full = "full"


class EditionName(StrEnum):
    """Whom the dataset is for."""

    full = "full"
    public = "public"


class LayoutName(StrEnum):
    """How images and their rows are laid out in Parquet."""

    viewer = "viewer"
    study = "community-forensics"


def build_manifest() -> None:
    """Entry point of cf-build-manifest."""
    command_line.run_command(_build_manifest)


def publish() -> None:
    """Entry point of cf-publish."""
    command_line.run_command(_publish)


def _build_manifest(
    workspace: WorkspaceOption = Path("workspace"),
    verify: Annotated[
        Verification,
        typer.Option(help="quick: look into one image file in fifty; full: into every file, and every record."),
    ] = Verification.quick,
    memory: Annotated[str, typer.Option(help="What the join may hold in memory; beyond that it spills.")] = "320MB",
    holdout: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND=VALUE",
            help="Keep generators for evaluation: name=ORG/NAME, family=ORG/BASE (and all that descend from it), "
            "architecture=PixDiff, or after=2026-01-31 (appeared later than that day). May be given several times.",
        ),
    ] = None,
    edition: Annotated[
        EditionName | None,
        typer.Option(
            help="full: everything; public: only what may be passed on, and a list of the other real images. "
            "[default: full]"
        ),
    ] = None,
    license_allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LICENCE",
            help="Generators of the public edition: a licence (mit), none (where no licence is given) or family=NAME; "
            "several with commas. [default: family=open,family=openrail]",
        ),
    ] = None,
    restore: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="Complete a public edition that was downloaded to --workspace with the real images that are in your "
            "own copy of their data set. May be given several times.",
        ),
    ] = None,
) -> None:
    """Tie every image to its generator, licence and real source; refuse what does not add up.

    Writes manifest/ and report/index.html. Where a check fails, it says which rows, and leaves manifest/ as it was.

    Examples:

        cf-build-manifest

        cf-build-manifest --verify full --memory 8GB   # before publishing

        cf-build-manifest --holdout architecture=PixDiff --holdout after=2026-01-31

        cf-build-manifest --edition public --license-allow mit,apache-2.0,family=openrail

        cf-build-manifest --workspace DOWNLOADED --restore /data/coco   # complete somebody's public edition
    """
    if restore:
        if edition or holdout or license_allow:
            raise errors.UsageError(
                "--restore completes an edition as it was published: --edition, --license-allow and --holdout are for "
                "who builds one"
            )
        _restore(workspace, restore)
        return
    from manifests.building import build
    from manifests.choices import Choices
    from manifests.manifest import rows_by_split
    from manifests.report import write_report

    opened = Workspace.open(workspace)
    choices = Choices.made((edition or EditionName.full).value, license_allow or (), holdout or ())
    built = build(opened, verify.value, memory, choices)
    page = write_report(opened)
    sampled = sum(1 for row in built.generators if row.kept)
    typer.echo(f"{built.kept} generated images of {sampled} generators, {built.real} real images")
    if holdout:
        sides = Counter(row.split or "neither" for row in built.generators if row.kept)
        typer.echo(f"generators: {sides['train']} train, {sides['test']} test, {sides['neither']} in neither")
        images = rows_by_split(opened)
        typer.echo(f"images: {images['train']} train, {images['test']} test, {images[None]} in neither")
    if edition is EditionName.public:
        typer.echo(f"public edition: {built.withheld} real images are listed without their pixels")
    typer.echo(f"manifest: {opened.manifest}")
    typer.echo(f"report: {page}")


def _restore(folder: Path, copies: list[Path]) -> None:
    from manifests.restoring.restore import restore

    restored = restore(folder, copies)
    for line in restored.lines():
        typer.echo(line)
    restored.refuse_missing()


def _publish(
    repository: Annotated[str, typer.Argument(metavar="ORG/NAME", help="The dataset on the Hub.")],
    workspace: WorkspaceOption = Path("workspace"),
    public: Annotated[
        bool, typer.Option("--public", help="Make a new dataset public; otherwise it is private.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")] = False,
    layout: Annotated[
        LayoutName,
        typer.Option(help="viewer: all columns, images shown on the Hub; community-forensics: the study's columns."),
    ] = LayoutName.viewer,
    max_shard_size: Annotated[str, typer.Option(help="Largest size of one Parquet file.")] = "500MB",
    max_staging: Annotated[
        str, typer.Option(help="Most that waits on this disk to be sent; an interruption costs at most that.")
    ] = "4GB",
) -> None:
    """Put the dataset on the Hub: what is already there is not sent again.

    Readers see the former version or the new one, never half of it. Interrupted, the same command continues. Needs a
    token that may write: HF_TOKEN, or `hf auth login`.

    What is public, or becomes it by --public, may hold no real image that may not be passed on: that is what
    `cf-build-manifest --edition public` is for.

    Examples:

        cf-publish ORG/NAME --dry-run

        cf-publish ORG/NAME

        cf-publish ORG/NAME --public

        cf-publish ORG/NAME --layout community-forensics   # for the study's own training code
    """
    from manifests.publishing.publish import Wish, publish_dataset

    wish = Wish(
        layout=layout.value,
        public=public,
        dry_run=dry_run,
        max_shard=bytes_of(max_shard_size, "--max-shard-size"),
        max_staging=bytes_of(max_staging, "--max-staging"),
    )
    for line in publish_dataset(Workspace.open(workspace), repository, wish).lines():
        typer.echo(line)
