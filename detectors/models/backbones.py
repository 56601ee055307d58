"""Frozen backbones: images to features, with a name that says exactly which.

`spectrum` needs no weights; every other one is an image backbone of transformers, from a folder or from the Hub.
"""

import json
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from detectors.models.device import chosen_device, precision_of
from detectors.models.network_detector import computed
from detectors.models.spectrum import spectra
from detectors.models.weight_files import Located, located
from detectors.pixels.inputs import CLIP, IMAGENET, Image, Input
from workspace.errors import UsageError, in_one_line
from workspace.hub_access import HubAccess

SPECTRUM = "spectrum"


class Backbone(Protocol):
    """What gives features of images."""

    @property
    def key(self) -> str:
        """A name for the features, one path component: other features have another one."""

    @property
    def reference(self) -> str:
        """What `backbone` takes to find it again on this machine."""

    def features(self, images: Sequence[Image]) -> npt.NDArray[np.float32]:
        """Shape (images, numbers)."""


class SpectrumBackbone:
    """The spectrum of an image: no weights."""

    key = reference = SPECTRUM

    def features(self, images: Sequence[Image]) -> npt.NDArray[np.float32]:
        """As `Backbone.features`."""
        return spectra(images)


class VisionBackbone:
    """An image backbone of transformers; it is loaded when it is first used."""

    def __init__(self, found: Located, layer: str, device: str = "auto", precision: str = "auto") -> None:
        self._found, self._layer = found, layer
        self._device, self._precision = device, precision

    @property
    def key(self) -> str:
        """As `Backbone.key`."""
        return re.sub(r"[^A-Za-z0-9._@-]+", "-", self._found.name.replace("/", "--")) + f"-{self._layer}"

    @property
    def reference(self) -> str:
        """The folder, or ORG/NAME@commit."""
        return self._found.name if "/" in self._found.name else str(self._found.path)

    @cached_property
    def _model(self) -> tuple[Any, Input, str, str]:
        from detectors.models.networks.vision import from_folder

        device = chosen_device(self._device)
        module, _, side = from_folder(self._found.path, self._layer)
        return module.to(device), input_of(self._found.path, side), device, precision_of(self._precision, device)

    def features(self, images: Sequence[Image]) -> npt.NDArray[np.float32]:
        """As `Backbone.features`; images are resized and cropped as the folder's preprocessing says, the shorter side,
        never both sides, to one length."""
        module, sees, device, precision = self._model
        return computed([sees.prepared(image) for image in images], sees, module, device, precision)


def backbone(
    text: str, layer: str = "pooled", device: str = "auto", hub: HubAccess = HubAccess(), precision: str = "auto"
) -> Backbone:
    """The backbone that a text names: spectrum, a folder, or ORG/NAME[@REVISION]. Errors as `located`."""
    if text == SPECTRUM:
        return SpectrumBackbone()
    return VisionBackbone(located(text, hub, setting="backbone"), layer, device, precision)


def input_of(folder: Path, side: int) -> Input:
    """The input that a folder's preprocessing states; ImageNet's mean, or CLIP's of a model of CLIP, where it has none.

    Raises `UsageError` for a file that cannot be read.
    """
    path = folder / "preprocessor_config.json"
    kind = str(_json(folder / "config.json").get("model_type", "")) if (folder / "config.json").exists() else ""
    mean, deviation = CLIP if kind.startswith("clip") else IMAGENET
    stated = _json(path) if path.exists() else {}
    try:
        size = stated.get("size") or {}
        shorter = size.get("shortest_edge") or size.get("height") if isinstance(size, dict) else int(size)
        mean, deviation = _three(stated.get("image_mean") or mean), _three(stated.get("image_std") or deviation)
        if min(deviation) <= 0:
            raise ValueError("image_std must be above 0")
        return Input(side, max(side, int(shorter or side)), mean, deviation)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path} cannot be used: {in_one_line(error, 200)}") from error


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be used: {in_one_line(error, 200)}") from error
    return content if isinstance(content, dict) else {}
