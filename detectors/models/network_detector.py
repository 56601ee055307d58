"""Detectors that are one network."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from detectors.models.device import chosen_device, precision_of
from detectors.models.registry import ModelSpec
from detectors.models.weight_files import located
from detectors.pixels.inputs import Image, Input
from workspace.errors import UsageError

if TYPE_CHECKING:
    import torch

    from detectors.models.networks.network import Network

#: Images of one forward pass: a ViT-L needs about 1 GB for so many, and more are not faster on the CPU.
_BATCH = 32


class NetworkDetector:
    """A network on its device, in evaluation mode."""

    def __init__(self, network: "Network", sees: Input, device: str = "cpu", precision: str = "no") -> None:
        self.network, self.input, self.device, self.precision = network.to(device).eval(), sees, device, precision

    @classmethod
    def load(
        cls,
        spec: ModelSpec,
        weights: Path,
        start: str | None = None,
        start_name: str | None = None,
        device: str = "auto",
    ) -> "NetworkDetector":
        """The network with the weights of a run; `start`: where those of its frozen backbone are, `start_name`: what
        they are.

        Raises `UsageError` where weights are not its own, or are damaged.
        """
        from detectors.models.networks.building import build

        file = None
        if start is not None:
            found = located(start)
            if found.name != start_name:
                raise UsageError(
                    f"{start} is {found.name}, and the detector needs {start_name}: put the former files there"
                )
            file = found.file
        device = chosen_device(device)
        precision = precision_of(str(spec.settings.get("precision", "no")), device)
        return cls(build(spec, file, weights), spec.input, device, precision)

    def logits(self, images: Sequence[Image]) -> npt.NDArray[np.float32]:
        """As `Detector.logits`."""
        return self._computed(images, self.network)

    def features(self, images: Sequence[Image]) -> npt.NDArray[np.float32]:
        """As `Detector.features`."""
        return self._computed(images, self.network.features)

    def _computed(
        self, images: Sequence[Image], function: "Callable[[torch.Tensor], torch.Tensor]"
    ) -> npt.NDArray[np.float32]:
        return computed(
            [self.input.prepared(image) for image in images], self.input, function, self.device, self.precision
        )


def computed(
    prepared: Sequence[Image],
    sees: Input,
    function: "Callable[[torch.Tensor], torch.Tensor]",
    device: str,
    precision: str = "no",
) -> npt.NDArray[np.float32]:
    """What a function of a network gives for prepared images, a batch at a time: (images, ...)."""
    import torch

    found = []
    with torch.inference_mode(), autocast(device, precision):
        for first in range(0, len(prepared), _BATCH):
            pixels = sees.tensor(prepared[first : first + _BATCH]).to(device)
            found.append(function(pixels).float().cpu().numpy())
    return np.concatenate(found) if found else np.empty(0, np.float32)


def autocast(device: str, precision: str) -> "torch.autocast":
    """A block that computes in this precision."""
    import torch

    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.partition(":")[0], dtype=dtype, enabled=precision != "no")
