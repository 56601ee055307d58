"""`cf-detect study`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from detectors.options import StudyOptions
from detectors.parameters import (
    Data,
    Device,
    DryRun,
    KinOption,
    Protocol,
    SetOption,
    ShardOption,
    settings_of,
)
from workspace.command_line import Command
from workspace.errors import UsageError
from workspace.layout import Needs
from workspace.opening import opened
from workspace.parameters import WorkspaceOption
from workspace.terminal import say

StudyName = Literal["generators", "images", "architectures", "backbone", "freezing", "pairing", "iterations"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=Command)(study)


def study(
    name: Annotated[StudyName, typer.Argument(metavar="STUDY", help="What is varied; see below.")],
    workspace: WorkspaceOption = Path("workspace"),
    data: Data = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL", help="The detector. May be repeated. [default: the figure's]"),
    ] = None,
    points: Annotated[
        str | None,
        typer.Option(metavar="N,...", help="Points on the x axis. [default: the figure's, as far as possible]"),
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(min=1, help="Repeats, each with its own subset. [default: the figure's]")
    ] = StudyOptions.repeats,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps of a network. [default: the figure's]")
    ] = StudyOptions.steps,
    images: Annotated[int, typer.Option(min=1, help="Training images of each label, at most.")] = StudyOptions.images,
    fix: Annotated[
        Literal["draws", "images"],
        typer.Option(
            help="generators: what is equal at every point. draws: images of few generators repeat; images: all points "
            "have as few as the first."
        ),
    ] = StudyOptions.fix,
    architecture: Annotated[
        str | None, typer.Option(help="Train on generators of this architecture only.")
    ] = StudyOptions.architecture,
    popular: Annotated[
        str | None,
        typer.Option(
            metavar="GENERATOR,...",
            help="images: the popular generators. [default: by the downloads in the workspace's catalogue]",
        ),
    ] = None,
    random: Annotated[int, typer.Option(min=1, help="images: number of random generators.")] = StudyOptions.random,
    source: Annotated[
        str | None, typer.Option(help="pairing: the real source compared with the others. [default: the largest]")
    ] = StudyOptions.source,
    set_: SetOption = None,
    protocol: Protocol = StudyOptions.protocol,
    kin: KinOption = StudyOptions.kin,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of folds, subsets and training.")] = StudyOptions.seed,
    device: Device = StudyOptions.device,
    shard: ShardOption = StudyOptions.shard,
    dry_run: DryRun = StudyOptions.dry_run,
) -> None:
    """Train many detectors that differ in one thing, and measure what it changes: a figure of the study.

    generators: their number (figure 1). images: their number, of many random and of few popular generators (4).
    architectures: the most frequent one, the others, all (5a). backbone: each model on each dataset (5b). freezing:
    backbones trained or not (6a). pairing: sources of real images and of captions (6b). iterations: training steps
    (13). Every run is one of cf-detect train; what is there is not made again, and shards share the runs.

    Examples:

        cf-detect study generators --architecture LatDiff

        cf-detect study generators --model probe:ORG/NAME --points 1,3,10,30 --protocol generator:5

        cf-detect study freezing --model cf-vit-s-224 --shard 2/4
    """
    from detectors.studies.stage import make_study

    options = StudyOptions(
        study=name,
        data=tuple(data or ()),
        models=tuple(model or ()),
        points=_numbers(points),
        repeats=repeats,
        steps=steps,
        images=images,
        fix=fix,
        architecture=architecture,
        popular=tuple(popular.split(",")) if popular else (),
        random=random,
        source=source,
        settings=settings_of(set_ or ()),
        protocol=protocol,
        kin=kin,
        seed=seed,
        device=device,
        shard=shard,
        dry_run=dry_run,
    )
    with opened(workspace, Needs(images=True, manifest=True), create=bool(data)) as space:
        for line in make_study(space, options).lines():
            say(line)


def _numbers(text: str | None) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in text.split(",")) if text is not None else ()
    except ValueError as error:
        raise UsageError(f"--points {text!r}: give whole numbers with commas between them, such as 3,10,30") from error
