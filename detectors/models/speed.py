"""How fast detectors compute on a device."""

import time
from collections.abc import Callable

import numpy as np

from detectors.models.registry import ModelSpec

#: Images of a measurement at first: a ViT-L on a CPU takes seconds for them.
FEW = 4
#: What a measurement takes, in seconds, where many images fit into that; and how many are enough.
_SECONDS, _ENOUGH = 0.2, 256
#: A first call that takes so many seconds is the measurement: what it also allocates is nothing beside them.
_LONG = 1.0


def seconds_an_image(compute: Callable[[int], object], most: int = _ENOUGH) -> float:
    """Seconds for each image of `compute(images)`, measured after a first call, which also allocates and starts
    processes, with as many images as a fifth of a second is enough for, `most` at most. A long first call is enough."""
    few = min(FEW, most)
    if (first := _timed(compute, few)) >= _LONG:
        return first / few
    seconds = _timed(compute, few)
    images = int(np.clip(few * _SECONDS / max(seconds, 1e-9), few, most))
    return seconds / few if images == few else _timed(compute, images) / images


def training_seconds(spec: ModelSpec, device: str) -> float:
    """Seconds for each image that a network trains on, with random weights and pixels."""
    import torch

    from detectors.models.device import precision_of
    from detectors.models.network_detector import autocast
    from detectors.models.networks.building import seeded

    network = seeded(spec, 0).to(device).train()
    precision = precision_of(str(spec.settings["precision"]), device)

    def compute(images: int) -> None:
        pixels = torch.randn(images, 3, spec.input.crop, spec.input.crop, device=device)
        labels = torch.arange(images, device=device).remainder(2).float()
        with autocast(device, precision):
            loss = network(pixels, labels)
        loss.backward()
        loss.item()

    return seconds_an_image(compute, int(spec.settings["micro_batch"]))


def _timed(compute: Callable[[int], object], images: int) -> float:
    start = time.perf_counter()
    compute(images)
    return time.perf_counter() - start
