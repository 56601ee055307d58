"""The command line `cf-caption`."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from captioning.captioner import CaptionerReference
from captioning.options import DEFAULT_CAPTIONER, Backend
from captioning.selection import select_all
from captioning.stage import Settings, SourceSummary, caption
from workspace import command_line
from workspace.layout import Workspace
from workspace.shard import Shard


def main() -> None:
    """Entry point of cf-caption."""
    command_line.run_command(_caption)


def _caption(
    source: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=PATH|NAME=hf://ORG/NAME",
            help="Real images, repeatable: coco=/data/coco, or any name for a folder of images, tar archives or "
            "Parquet files, or for a data set of the Hub (hf://ORG/NAME[@REVISION][:CONFIG[/SPLIT]]).",
        ),
    ],
    workspace: Annotated[Path, typer.Option(envvar="CF_WORKSPACE", help="The folder the stages share.")] = Path(
        "workspace"
    ),
    limit: Annotated[
        int | None, typer.Option(min=1, help="Images of all sources together at most; default: all.")
    ] = None,
    max_per_source: Annotated[
        int | None, typer.Option(min=1, help="Images of each source at most; default: all.")
    ] = None,
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy the images into the workspace, their bytes as they are.")
    ] = False,
    captioner: Annotated[
        str,
        typer.Option(
            metavar="REPO[@REVISION]|FOLDER",
            help="A captioner of transformers (BLIP, BLIP-2, GIT, ...), for images without a caption of their own.",
        ),
    ] = DEFAULT_CAPTIONER,
    backend: Annotated[
        Backend, typer.Option(help="What runs it; lavis is BLIP by its authors' code and needs `make lavis-env`.")
    ] = "transformers",
    batch_size: Annotated[int, typer.Option(min=1, help="Images captioned at once.")] = 8,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that decode images; default: one a core, 16 at most.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    shard: Annotated[str, typer.Option(metavar="INDEX/COUNT", help="This process's share, counted from 1.")] = "1/1",
    part_size: Annotated[
        int, typer.Option(min=1, help="Images of one part file; a killed run loses one at most.")
    ] = 1000,
) -> None:
    """Turn real images into prompts: each one's own caption where it has one, the captioner's otherwise.

    Each prompt points back at the very file it describes, by its sha256. Interrupted, the same command continues.

    Examples:

        cf-caption --source coco=/data/coco

        cf-caption --source coco=/data/coco --source mine=/data/photos --max-per-source 10000

        cf-caption --source faces=hf://ORG/NAME@main:default/train --limit 500 --copy

        cf-caption --source mine=/data/photos --shard 2/8 --device cuda:1
    """
    share = Shard.parse(shard)
    reference = CaptionerReference.parse(captioner)
    selections = select_all(source, limit, max_per_source)
    settings = Settings(
        captioner=reference,
        batch_size=batch_size,
        part_size=part_size,
        limit=limit,
        max_per_source=max_per_source,
        copy=copy,
        device=device,
        workers=workers,
        backend=backend,
    )
    for line in _lines(caption(Workspace.open(workspace), selections, settings, share)):
        typer.echo(line)


def _lines(summaries: Sequence[SourceSummary]) -> list[str]:
    lines = []
    for summary in summaries:
        prompts = summary.own + summary.generated
        line = f"{summary.name}: {prompts} prompts from {summary.images} images"
        line += f" ({summary.own} with captions of their own, {summary.generated} captioned)"
        if summary.parts_done < summary.parts:
            line += f"; {summary.parts_done} of {summary.parts} parts are done, the rest is other shards'"
        lines.append(line)
        if summary.skipped:
            lines.append(f"  skipped: {_counts(summary.skipped)}; see prompts/{summary.name}/skipped-*.parquet")
    return lines


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counter.items()))
