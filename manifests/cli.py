"""The command lines `cf-build-manifest` and `cf-publish`."""

from pathlib import Path
from typing import Annotated

import typer

from engines.parameters import Address, EngineParameter, Processes
from manifests.options import DEFAULT_LICENSES, BuildOptions, Edition, Kin, LayoutName, PublishOptions, parse_verify
from workspace import command_line, errors
from workspace.layout import Needs
from workspace.opening import opened
from workspace.parameters import WorkspaceOption
from workspace.terminal import say

#: Options of building, which restoring cannot change: it completes an edition that somebody built.
_ONLY_FOR_BUILDING = (
    *("edition", "license_allow", "holdout", "validation", "kin", "real_per_generated", "public_evaluation", "rounds"),
    *("audit", "matched", "engine", "address", "processes"),
)


def build_manifest() -> None:
    """Entry point of cf-build-manifest."""
    command_line.run_command(_build_manifest)


def publish() -> None:
    """Entry point of cf-publish."""
    command_line.run_command(_publish)


def _build_manifest(
    context: typer.Context,
    workspace: WorkspaceOption = Path("workspace"),
    verify: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOW",
            help="quick: read one image file in fifty; full: read every file and every record; reproduce=50[@SEED]: "
            "make 50 random images again, which must be equal (needs what sampling needs). May be repeated.",
            show_default=BuildOptions.verify,
        ),
    ] = None,
    memory: Annotated[
        str, typer.Option(help="Memory the join may use before it spills to the disk.")
    ] = BuildOptions.memory,
    holdout: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND=VALUE",
            help="Keep generators for evaluation: name=ORG/NAME, family=ORG/BASE (it and all its descendants), "
            "architecture=PixDiff, subset=Commercial, file=FILES (the generators of TOML files), or after=2026-01-31 "
            "(first appeared after that day). May be repeated. Default: those of cf-sample --holdout.",
        ),
    ] = None,
    validation: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND=VALUE",
            help="Keep generators for validation, named as for --holdout. May be repeated. Default: those of cf-sample "
            "--validation.",
        ),
    ] = None,
    kin: Annotated[
        Kin,
        typer.Option(
            help="Generators that are related to a held out one. separate: they are in no split; ignore: they are for "
            "training, as in the study."
        ),
    ] = BuildOptions.kin,
    edition: Annotated[
        Edition,
        typer.Option(help="full: everything; public: what may be redistributed, and a list of the other real images."),
    ] = BuildOptions.edition,
    real_per_generated: Annotated[
        float,
        typer.Option(
            min=0,
            help="Real images a generated one: where fewer real images were prompts, further ones of the same sources "
            "are added, in each split; 0: none.",
        ),
    ] = BuildOptions.real_per_generated,
    public_evaluation: Annotated[
        bool,
        typer.Option(
            "--public-evaluation",
            help="Choose the further real images of the evaluation set among those that may be passed on, until there "
            "are as many as generated ones.",
        ),
    ] = BuildOptions.public_evaluation,
    license_allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LICENCE",
            help="Generators of the public edition: a licence (mit), none (no licence given) or family=NAME; several "
            f"with commas. [default: {','.join(DEFAULT_LICENSES)}]",
        ),
    ] = None,
    rounds: Annotated[
        str | None,
        typer.Option(
            metavar="1-N",
            help="What these rounds of the workspace made: the manifest that there was before the next one. "
            "[default: all rounds]",
        ),
    ] = BuildOptions.rounds,
    audit: Annotated[
        bool,
        typer.Option(
            "--audit",
            help="Measure how well file facts (format, size, ...) and simple statistics of pixels tell real from "
            "generated images. A detector learns such a shortcut instead of traces of generation.",
        ),
    ] = BuildOptions.audit,
    matched: Annotated[
        bool,
        typer.Option(
            "--matched",
            help="Choose pairs of a generated and a real image whose files are alike, as manifest/matched.parquet, and "
            "audit them beside the whole.",
        ),
    ] = BuildOptions.matched,
    engine: EngineParameter = BuildOptions.engine,
    address: Address = BuildOptions.address,
    processes: Processes = BuildOptions.processes,
    restore: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="Complete a public edition that was downloaded to --workspace with the real images in your own copy "
            "of their data set. May be repeated.",
        ),
    ] = None,
) -> None:
    """Join every image with its generator, licence and real source, and check everything.

    Writes manifest/ and report/index.html. Where a check fails, it names the rows, and manifest/ stays as it was; a
    generator with a damaged file is left out, with a line that names it. Real images on the Hub are read there: set
    HF_ENDPOINT for another Hub, HF_TOKEN for data sets that need one.

    Examples:

        cf-build-manifest

        cf-build-manifest --verify full --memory 8GB   # before publishing

        cf-build-manifest --verify full --engine ray   # files are read by all nodes of a Ray cluster

        cf-build-manifest --verify reproduce=50        # can its images be made again, bit by bit?

        cf-build-manifest --holdout architecture=PixDiff --holdout after=2026-01-31

        cf-build-manifest --holdout family=ORG/BASE --validation name=ORG/NAME

        cf-build-manifest --holdout name=ORG/NAME --kin ignore   # as in the study

        cf-build-manifest --edition public --license-allow mit,apache-2.0,family=openrail

        cf-build-manifest --rounds 1-2   # without what the third round added

        cf-build-manifest --audit --matched   # can real and generated images be told apart by their files?

        cf-build-manifest --workspace DOWNLOADED --restore /data/coco   # complete a downloaded public edition
    """
    verified = parse_verify(verify or ())
    if restore:
        if "reproduce" in verified:
            raise errors.UsageError("--restore completes an edition as it was published: leave out --verify reproduce")
        given = [name for name in _ONLY_FOR_BUILDING if _is_given(context, name)]
        if given:
            option = f"--{given[0].replace('_', '-')}"
            raise errors.UsageError(f"--restore completes an edition as it was published: leave out {option}")
        _restore(workspace, restore)
        return
    from manifests.audit.record import audit_lines
    from manifests.reproduction.record import reproduction_lines
    from manifests.stage import build_manifest

    options = BuildOptions(
        **verified,
        memory=memory,
        holdout=tuple(holdout or ()),
        validation=tuple(validation or ()),
        kin=kin,
        edition=edition,
        real_per_generated=real_per_generated,
        public_evaluation=public_evaluation,
        license_allow=tuple(license_allow or ()),
        rounds=rounds,
        audit=audit,
        matched=matched,
        engine=engine,
        address=address,
        processes=processes,
    )
    with opened(workspace, Needs(images=True, manifest=True)) as space:
        built, page = build_manifest(space, options)
        for line in (*built.lines(), *reproduction_lines(space)):
            say(line)
        if options.audit or options.matched:
            for line in audit_lines(space):
                say(line)
        say(f"manifest: {space.manifest}")
        say(f"report: {page}")


def _restore(folder: Path, copies: list[Path]) -> None:
    from manifests.restoring.restore import restore

    restored = restore(folder, copies)
    for line in restored.lines():
        say(line)
    restored.raise_missing()


def _is_given(context: typer.Context, parameter: str) -> bool:
    """Whether the user gave an option, be it with its default value."""
    source = context.get_parameter_source(parameter)
    return source is not None and source.name == "COMMANDLINE"


def _publish(
    repository: Annotated[str, typer.Argument(metavar="ORG/NAME", help="The dataset on the Hub.")],
    workspace: WorkspaceOption = Path("workspace"),
    public: Annotated[
        bool, typer.Option("--public", help="Make a new dataset public; otherwise it is private.")
    ] = PublishOptions.public,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent and changed, and send nothing.")
    ] = PublishOptions.dry_run,
    tag: Annotated[
        str | None,
        typer.Option(
            metavar="TAG",
            help="Name of this version on the Hub, under which it stays readable. [default: round-N for the manifest "
            "of rounds 1 to N]",
        ),
    ] = PublishOptions.tag,
    squash: Annotated[
        bool,
        typer.Option(
            "--squash",
            "--purge-history",
            help="Then replace the dataset's history by one commit and remove the tags of former versions, so that "
            "none has what was removed. It cannot be undone.",
        ),
    ] = PublishOptions.squash,
    layout: Annotated[
        LayoutName,
        typer.Option(help="viewer: all columns, images shown on the Hub; community-forensics: the study's columns."),
    ] = PublishOptions.layout,
    max_shard_size: Annotated[str, typer.Option(metavar="SIZE", help="Largest size of one Parquet file.")] = str(
        PublishOptions.max_shard_size
    ),
    max_staging: Annotated[
        str,
        typer.Option(
            metavar="SIZE",
            help="Space on this disk for files that wait to be sent, at most.",
        ),
    ] = str(PublishOptions.max_staging),
    engine: EngineParameter = PublishOptions.engine,
    address: Address = PublishOptions.address,
    processes: Processes = PublishOptions.processes,
) -> None:
    """Publish the dataset on the Hub; files that it already has are not sent again.

    Readers see either the previous version or the complete new one. An interrupted run is continued by the same
    command. Needs a token that may write: HF_TOKEN, or `hf auth login`.

    A public dataset must not contain real images that may not be redistributed: build it with
    `cf-build-manifest --edition public`.

    Examples:

        cf-publish ORG/NAME --dry-run

        cf-publish ORG/NAME

        cf-publish ORG/NAME --public

        cf-publish ORG/NAME --processes 4   # packs four shards at a time; --engine ray: on all nodes of a cluster

        cf-publish ORG/NAME --tag v2   # readers name it: load_dataset("ORG/NAME", revision="v2")

        cf-publish ORG/NAME --layout community-forensics   # for the study's own training code

        cf-publish ORG/NAME --purge-history   # after cf-remove: no former version has it either
    """
    from manifests.publishing.publish import publish_dataset

    options = PublishOptions(
        layout=layout,
        public=public,
        dry_run=dry_run,
        tag=tag,
        squash=squash,
        max_shard_size=max_shard_size,
        max_staging=max_staging,
        engine=engine,
        address=address,
        processes=processes,
    )
    with opened(workspace, Needs(images=True, manifest=True)) as space:
        for line in publish_dataset(space, repository, options).lines():
            say(line)
