"""cf-sample: a share of the catalogue's generators, a few hundred images each."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from workspace.command_line import run_command
from workspace.layout import Workspace
from workspace.shard import Shard
from workspace.size import bytes_of


def sample(
    workspace: Annotated[Path, typer.Option(envvar="CF_WORKSPACE", help="The folder the stages share.")] = Path(
        "workspace"
    ),
    shard: Annotated[
        str,
        typer.Option(
            help="Which share of the generators, such as 3/16: the third of sixteen, all alike in estimated time."
        ),
    ] = ("1/1"),
    images: Annotated[int, typer.Option(min=1, help="Images to keep of each generator.")] = 400,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images in one call; 8, or --images where that is less.")
    ] = None,
    max_tries: Annotated[int | None, typer.Option(min=1, help="Images to try at most; twice --images.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Denoising steps, instead of the generator's own.")] = None,
    seed: Annotated[int, typer.Option(help="Another number, other images.")] = 0,
    safety_checker: Annotated[
        str | None, typer.Option(metavar="REPO[@REVISION]", help="Checks every image; Stable Diffusion's by default.")
    ] = None,
    source_weight: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=WEIGHT", help="How often a real source is asked (1); 0: never. May be repeated."),
    ] = None,
    store: Annotated[
        Literal["files", "parquet"],
        typer.Option(help="Images as files beside the rows, or inside them: a few files a generator."),
    ] = "files",
    allow_pickle: Annotated[
        bool,
        typer.Option("--allow-pickle", help="Also checkpoints with weights as pickles, read as weights only."),
    ] = False,
    only: Annotated[list[str] | None, typer.Option(metavar="ORG/NAME", help="Only this one; may be repeated.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many compatible generators.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda:N.")] = "auto",
    weights_dir: Annotated[
        Path | None, typer.Option(envvar="CF_WEIGHTS_DIR", help="Where downloaded weights lie meanwhile; a local disk.")
    ] = None,
    max_disk: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="What weights of all runs on this node may take there, such as 200GB."),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds that loading, or one batch, may take before it is ended.")
    ] = 1800,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Take up every failed generator again, also the quarantined ones.")
    ] = False,
    max_memory: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="GB", help="What sampling may fill of the machine's memory; 90 % by default, 0: no limit."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Sample images from the generators of the catalogue.

    Each generator's files are downloaded, sampled by a process without token and network, and removed. Every image
    passes a safety checker; a flagged one never reaches the disk. Interrupted, the same command continues.

    Examples:

        cf-sample --shard 3/16                        # on each of sixteen GPUs

        cf-sample --images 16 --only ORG/NAME         # a look at one generator

        cf-sample --shard 3/16 --dry-run              # what would be done, and how long it may take

        cf-status --watch                             # how it stands
    """
    from samplers import summary
    from samplers.forecast import show_forecast
    from samplers.options import DEFAULT_CHECKER
    from samplers.pending import Run, Wish
    from samplers.pending import survey as survey_shard
    from samplers.prompting import parse_weights
    from samplers.supervisor import sample as sample_shard

    space = Workspace.open(workspace)
    wish = Wish(
        images=images,
        batch_size=batch_size if batch_size is not None else min(8, images),
        max_tries=max_tries,
        steps=steps,
        seed=seed,
        safety_checker=safety_checker or DEFAULT_CHECKER,
        source_weights=parse_weights(source_weight or ()),
        store=store,
        allow_pickle=allow_pickle,
    )
    run = Run(
        shard=Shard.parse(shard),
        only=tuple(only or ()),
        limit=limit,
        device=device,
        weights_dir=weights_dir,
        max_disk=bytes_of(max_disk, "--max-disk") if max_disk is not None else None,
        timeout=timeout,
        max_memory=int(max_memory * 1e9) if max_memory is not None else None,
        retry_failed=retry_failed,
    )
    if dry_run:
        show_forecast(space, run.shard, survey_shard(space, wish, run))
    else:
        summary.show_report(space, sample_shard(space, wish, run))


def main() -> None:
    """The console script."""
    run_command(sample)
