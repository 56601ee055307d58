"""What training would take: runs, images, and hours at the speed of this device."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from detectors.models.backbones import SPECTRUM, backbone
from detectors.models.device import chosen_device
from detectors.models.registry import ModelSpec, resolve
from detectors.models.speed import seconds_an_image, training_seconds
from detectors.options import TrainOptions
from detectors.protocols.folds import Fold
from workspace.number_text import hours_text

#: The side of the images that features are measured with, in pixels.
_SIDE = 512


def forecast(
    chosen: Sequence[Fold],
    model: str,
    options: TrainOptions,
) -> Iterator[str]:
    """What these folds would take, a line each. Nothing is downloaded: a network's weights are random for the
    measurement."""
    spec = resolve(model, options.settings)
    if spec.kind != "network":
        yield f"{model}: {len(chosen)} runs, of {_images_once(spec, chosen, options)}"
        return
    steps = (options.steps or spec.steps) if spec.steps else 0
    batch = int(spec.settings["batch"])
    device = chosen_device(options.device)
    seconds = training_seconds(spec, device)
    total = steps * batch * len(chosen)
    yield (
        f"{model}: {len(chosen)} runs of {steps:,} steps of {batch} images, {total:,} images in all: about "
        f"{hours_text(total * seconds)} at {1 / seconds:,.3g} images a second, as this {device} computes them, "
        "without the time that waiting for images takes"
    )
    for fold in chosen:
        yield f"{fold.name}: each training image about {steps * batch / max(1, len(fold.train)):,.3g} times"


def _images_once(spec: ModelSpec, chosen: Sequence[Fold], options: TrainOptions) -> str:
    """The images whose features are computed, once for all runs, and how long that takes."""
    if spec.kind == "trees":
        return f"{sum(len(fold.train) for fold in chosen):,} images facts of their files: no image is read"
    most = int(spec.settings["images"])
    rows = [rows for fold in chosen for rows in (fold.train, fold.validation)]
    images = min(len(np.unique(np.concatenate(rows))), sum(min(len(some), most) for some in rows)) if rows else 0
    said = f"{images:,} images features, each computed once"
    where = str(spec.settings["backbone"])
    if where != SPECTRUM and not Path(where).expanduser().exists():
        return f"{said}; how long that takes is known when its weights are on this machine: --set backbone=FOLDER"
    layer, precision = str(spec.settings["layer"]), str(spec.settings["precision"])
    made = backbone(where, layer, options.device, precision=precision)
    image = np.random.default_rng(0).integers(0, 256, (_SIDE, _SIDE, 3), np.uint8)
    seconds = seconds_an_image(lambda number: made.features([image] * number), images) if images else 0.0
    return (
        f"{said}: about {hours_text(images * seconds)} at {1 / max(seconds, 1e-9):,.3g} images of {_SIDE} pixels a "
        f"second, as this {chosen_device(options.device)} computes them, where none is kept yet"
    )
