"""Detectors that are ready: images in, logits out.

A logit above 0 says generated; the probability is its logistic function. `load` gives the detector of a finished run,
whatever kind it is.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from detectors.models.registry import resolve
from detectors.pixels.inputs import Image
from detectors.run import Run
from workspace.errors import UsageError


class Detector(Protocol):
    """A detector of pixels."""

    def logits(self, images: Sequence[Image]) -> npt.NDArray[np.float32]:
        """The logit of each image, RGB of any size: shape (images,)."""

    def features(self, images: Sequence[Image]) -> npt.NDArray[np.float32]:
        """What the last layer sees of each image: shape (images, numbers)."""


def load(run: Run, device: str = "auto") -> Detector:
    """The detector of a finished run; `device` as torch names it, or auto.

    Raises `UsageError` for a run that is not finished, whose weights are not those of its model, or whose detector sees
    no pixels (`shortcut`).
    """
    described = run.described()
    spec = resolve(run.recipe.model, run.recipe.settings)
    if spec.kind == "trees":
        raise UsageError(f"{run.name} sees no pixels, only facts of files: use it with the rows of an index")
    if spec.kind == "network":
        from detectors.models.network_detector import NetworkDetector

        return NetworkDetector.load(spec, run.weights, described.get("start"), described.get("start_name"), device)
    from detectors.models.heads import HeadDetector

    return HeadDetector.load(spec, run, device)


def untrained(run: Run, device: str = "auto") -> Detector | None:
    """A network as that of a run, with random weights; None where it is none."""
    spec = resolve(run.recipe.model, run.recipe.settings)
    if spec.kind != "network":
        return None
    from detectors.models.device import chosen_device
    from detectors.models.network_detector import NetworkDetector
    from detectors.models.networks.building import seeded

    return NetworkDetector(seeded(spec, 0), spec.input, chosen_device(device))
