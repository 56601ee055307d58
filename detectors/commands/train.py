"""`cf-detect train`."""

from pathlib import Path
from typing import Annotated

import typer

from detectors.models.registry import names
from detectors.options import TrainOptions
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
from workspace.layout import Needs
from workspace.opening import opened
from workspace.parameters import WorkspaceOption
from workspace.terminal import say


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=Command)(train)


def train(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=f"One of {', '.join(names())}.")],
    workspace: WorkspaceOption = Path("workspace"),
    data: Data = None,
    protocol: Protocol = TrainOptions.protocol,
    kin: KinOption = TrainOptions.kin,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the folds and of training.")] = TrainOptions.seed,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Optimiser steps.  [default: those of the model]", show_default=False)
    ] = TrainOptions.steps,
    set_: SetOption = None,
    device: Device = TrainOptions.device,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that prepare images.  [default: one a core]", show_default=False),
    ] = TrainOptions.workers,
    save_minutes: Annotated[
        float, typer.Option(help="Minutes between two saved states, from which a killed run continues.")
    ] = TrainOptions.save_minutes,
    shard: ShardOption = TrainOptions.shard,
    dry_run: DryRun = TrainOptions.dry_run,
) -> None:
    """Train a detector, one run for each fold of the protocol, in detect/RUN/.

    The same command finds a finished run, and continues one that was interrupted or killed; on the CPU it ends with the
    same weights. With several GPUs: `accelerate launch "$(command -v cf-detect)" train ...`.

    Examples:

        cf-detect train tiny

        cf-detect train cf-vit-s-384 --protocol generator:5 --dry-run

        cf-detect train ufd-linear --set weights=fc_weights.pth   # a published checkpoint, no training

        cf-detect train probe:facebook/dinov2-small --data /data/GenImage
    """
    from detectors.training.stage import train_folds

    options = TrainOptions(
        data=tuple(data or ()),
        protocol=protocol,
        kin=kin,
        seed=seed,
        steps=steps,
        settings=settings_of(set_ or ()),
        device=device,
        workers=workers,
        save_minutes=save_minutes,
        shard=shard,
        dry_run=dry_run,
    )
    with opened(workspace, Needs(images=True, manifest=True), create=bool(data)) as space:
        for line in train_folds(space, model, options):
            say(line)
