"""`cf-detect attribute`."""

from pathlib import Path
from typing import Annotated

import typer

from detectors.options import AttributeOptions
from detectors.parameters import Data, Device, DryRun
from workspace.command_line import Command
from workspace.layout import Needs
from workspace.opening import opened
from workspace.parameters import WorkspaceOption
from workspace.terminal import say


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=Command)(attribute)


def attribute(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run of cf-detect train, whose name may be shortened.")],
    workspace: WorkspaceOption = Path("workspace"),
    data: Data = None,
    k: Annotated[int, typer.Option("--k", min=1, help="Nearest neighbours.")] = AttributeOptions.k,
    bank: Annotated[
        int, typer.Option(min=2, help="Training images that are compared with, at most.")
    ] = AttributeOptions.bank,
    map_images: Annotated[
        int, typer.Option(min=0, help="Images in the map of the features, at most; 0: no map.")
    ] = AttributeOptions.map_images,
    seed: Annotated[
        int, typer.Option(min=0, help="Random seed of what is chosen by chance, and of the map.")
    ] = AttributeOptions.seed,
    device: Device = AttributeOptions.device,
    dry_run: DryRun = AttributeOptions.dry_run,
) -> None:
    """Measure what a detector's features say of where an image is from: its architecture, and its generator.

    Test images, whose generators the detector never saw, are compared with training images by nearest neighbours
    (cosine): which architecture do they have? Apart are architectures that no training image has. Then generators are
    told from each other, among all and among their kin. UMAP draws the features as a map.

    Examples:

        cf-detect attribute cf-vit-s-384-0123abcd

        cf-detect attribute probe --k 9 --map-images 0
    """
    from detectors.attribution.stage import attribute as measure

    options = AttributeOptions(
        data=tuple(data or ()),
        k=k,
        bank=bank,
        map_images=map_images,
        seed=seed,
        device=device,
        dry_run=dry_run,
    )
    with opened(workspace, Needs(images=True, manifest=True), create=False) as space:
        for line in measure(space, run, options).lines():
            say(line)
