"""The command line `cf-caption`."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from captioning.options import Backend, CaptionOptions
from captioning.stage import SourceSummary, caption
from engines.parameters import Address, EngineParameter, Processes
from workspace import command_line
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.opening import is_address, opened
from workspace.parameters import WorkspaceOption
from workspace.terminal import say


def main() -> None:
    """Entry point of cf-caption."""
    command_line.run_command(_caption)


def _caption(
    source: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATH|NAME=hf://ORG/NAME",
            help="Real images; may be repeated. coco=/data/coco, or any name with a folder of images, tar archives or "
            "Parquet files, or with a data set of the Hub (hf://ORG/NAME[@REVISION][:CONFIG[/SPLIT]]).",
        ),
    ] = None,
    prompts: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]FILE",
            help="Own prompts, a prompt a line: text, CSV or JSON lines (columns prompt, image, source, weight); may "
            "be repeated. They need no --source.",
        ),
    ] = None,
    root: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATH",
            help="A folder of real images on this machine. Alone it says where those of a captioned workspace are "
            "now; with --source it names a folder above, with --prompts the folder of a set's images. May be repeated.",
        ),
    ] = None,
    workspace: WorkspaceOption = Path("workspace"),
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Maximum number of images, all sources together.  [default: all]"),
    ] = CaptionOptions.limit,
    max_per_source: Annotated[
        int | None,
        typer.Option(min=1, help="Maximum number of images of each source.  [default: all]"),
    ] = CaptionOptions.max_per_source,
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy the images into the workspace, bytes unchanged.")
    ] = CaptionOptions.copy,
    captioner: Annotated[
        str,
        typer.Option(
            metavar="ORG/NAME[@REVISION]|FOLDER",
            help="Model of transformers that captions images without a caption: BLIP, BLIP-2, GIT, ...",
        ),
    ] = CaptionOptions.captioner,
    backend: Annotated[
        Backend, typer.Option(help="What runs the captioner. lavis: the code of BLIP's authors (`make lavis-env`).")
    ] = CaptionOptions.backend,
    batch_size: Annotated[int, typer.Option(min=1, help="Images captioned in one call.")] = CaptionOptions.batch_size,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that decode images.  [default: one for each core, 16 at most]"),
    ] = CaptionOptions.workers,
    image_column: Annotated[
        str | None, typer.Option(help="Column of Parquet files with the images.  [default: found by type and name]")
    ] = CaptionOptions.image_column,
    caption_column: Annotated[
        str | None, typer.Option(help="Column with the captions.  [default: captions, caption, text, ...]")
    ] = CaptionOptions.caption_column,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = CaptionOptions.device,
    shard: Annotated[
        str,
        typer.Option(
            metavar="INDEX/COUNT",
            help="Share of the work: 3/16 is the third of sixteen; auto: what SLURM, Grid Engine, LSF, torchrun or MPI "
            "tells this process.",
        ),
    ] = CaptionOptions.shard,
    update: Annotated[
        bool,
        typer.Option(
            "--update",
            help="Add sources, images, own prompts or other settings to a workspace that has prompts, as another round "
            "(docs/rounds.md).",
        ),
    ] = CaptionOptions.update,
    part_size: Annotated[
        int, typer.Option(min=1, help="Images of one part file; an interruption costs one part at most.")
    ] = CaptionOptions.part_size,
    engine: EngineParameter = CaptionOptions.engine,
    address: Address = CaptionOptions.address,
    processes: Processes = CaptionOptions.processes,
) -> None:
    """Turn real images into prompts: the data set's caption of each image if it has one, a generated one otherwise.

    Own prompts are only cleaned.
    Each prompt names the file it describes, and the file's sha256. After an interruption the same command continues.

    Examples:

        cf-caption --source coco=/data/coco

        cf-caption --source coco=/data/coco --source mine=/data/photos --max-per-source 10000

        cf-caption --source faces=hf://ORG/NAME@main:default/train --limit 500 --copy

        cf-caption --source mine=/data/photos --shard 2/8 --device cuda:1

        cf-caption --source coco=/data/coco --engine ray   # on all GPUs of a Ray cluster

        cf-caption --prompts prompts.txt

        cf-caption --update --source more=/data/more

        cf-caption --root coco=/mnt/elsewhere/coco
    """
    options = CaptionOptions(
        prompts=tuple(prompts or ()),
        roots=parse_pairs("--root", root or ()),
        limit=limit,
        max_per_source=max_per_source,
        copy=copy,
        captioner=captioner,
        backend=backend,
        batch_size=batch_size,
        workers=workers,
        image_column=image_column,
        caption_column=caption_column,
        device=device,
        shard=shard,
        part_size=part_size,
        update=update,
        engine=engine,
        address=address,
        processes=processes,
    )
    if root and not source and not prompts:
        with _opened(workspace) as space:
            caption(space, options=options)
        for name, path in options.roots.items():
            say(f"{name}: its images are read from {path}")
        return
    with _opened(workspace) as space:
        for line in _lines(caption(space, parse_pairs("--source", source or ()), options)):
            say(line)


def _opened(workspace: Path) -> AbstractContextManager[Workspace]:
    # A folder is made by the stage, once it knows that the sources can be read.
    return opened(workspace) if is_address(workspace) else nullcontext(Workspace(workspace))


def parse_pairs(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Each `NAME=PATH` of an option as name -> path. Raises `UsageError` for another form, and for a name given
    twice."""
    pairs: dict[str, str] = {}
    for text in texts:
        name, _, path = text.partition("=")
        if not path:
            raise UsageError(f"{option} {text!r} is not of the form NAME=PATH, such as coco=/data/coco")
        if name in pairs:
            raise UsageError(f"{option} {name} is duplicated: give each source its own name")
        pairs[name] = path
    return pairs


def _lines(summaries: Sequence[SourceSummary]) -> list[str]:
    lines = []
    for summary in summaries:
        if summary.own is not None:
            line = f"{summary.name}: {_counted(summary.own, 'own prompt')} from {_counted(summary.images, 'line')}"
        else:
            prompts = _counted(summary.from_dataset + summary.generated, "prompt")
            line = f"{summary.name}: {prompts} from {_counted(summary.images, 'image')}"
            line += f" ({summary.from_dataset} captioned by the data set, {summary.generated} by the captioner)"
        if summary.parts_done < summary.parts:
            line += f"; {summary.parts_done} of {_counted(summary.parts, 'part')} finished, the others by other shards"
        lines.append(line)
        if summary.skipped:
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(summary.skipped.items()))
            lines.append(f"  skipped: {reasons}; see prompts/{summary.name}/skipped-*.parquet")
    return lines


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
