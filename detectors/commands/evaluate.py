"""`cf-detect evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from detectors.options import EvaluateOptions, RealImages
from detectors.parameters import Data, Device, DryRun, KinOption, Protocol, Seed, ShardOption
from workspace.command_line import Command
from workspace.layout import Needs
from workspace.opening import opened
from workspace.parameters import WorkspaceOption
from workspace.terminal import say


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=Command)(evaluate)


def evaluate(
    detector: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL",
            help="A run of cf-detect train, whose name may be shortened; all folds of one detector; or shortcut.",
        ),
    ],
    workspace: WorkspaceOption = Path("workspace"),
    data: Data = None,
    transform: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=STRENGTH,...",
            help="Also test with this done to all images, real and generated: jpeg=75,50, robustness (all of the "
            "study), ... May be repeated.",
        ),
    ] = None,
    protocol: Protocol = EvaluateOptions.protocol,
    kin: KinOption = EvaluateOptions.kin,
    seed: Seed = EvaluateOptions.seed,
    real: Annotated[
        RealImages,
        typer.Option(
            help="Against which real images a generator is judged: those that its images are paired with, or all of "
            "its dataset.",
        ),
    ] = EvaluateOptions.real,
    device: Device = EvaluateOptions.device,
    batch: Annotated[int, typer.Option(min=1, help="Images that the detector is given at a time.")] = (
        EvaluateOptions.batch
    ),
    shard: ShardOption = EvaluateOptions.shard,
    dry_run: DryRun = EvaluateOptions.dry_run,
) -> None:
    """Score images with a detector, and compute its metrics.

    A run is tested by the fold that it was trained for; with other --data, on all images of that. The model shortcut,
    which sees facts of files only, is trained on the spot for each fold of --protocol. Scores are kept by image; what
    is there is not scored again.

    Examples:

        cf-detect evaluate shortcut --protocol generator:5

        cf-detect evaluate cf-vit-s-384-0123abcd --transform jpeg=75,50

        cf-detect evaluate cf-vit-s-384 --data /data/GenImage --data /data/Synthbuster
    """
    from detectors.stage import evaluate_detector

    options = EvaluateOptions(
        data=tuple(data or ()),
        transforms=tuple(transform or ()),
        protocol=protocol,
        kin=kin,
        seed=seed,
        real=real,
        device=device,
        batch=batch,
        shard=shard,
        dry_run=dry_run,
    )
    with opened(workspace, Needs(images=True, manifest=True), create=bool(data)) as space:
        for line in evaluate_detector(space, detector, options).lines():
            say(line)
