"""Preprocessing: from what a captioner looks at to the numbers that go into it, as its `preprocessor_config.json` says.

The images were brought to the right size where they were decoded (`captioning/target_size.py`), so what is left to the
captioner's own image processor is cropping, and the normalisation of the values. Processors that make images of
different sizes, or several of one, are not what a captioner has.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from captioning.target_size import TargetSize
from workspace.errors import UsageError

if TYPE_CHECKING:
    import torch


class Preprocessing:
    """The image processor of a captioner."""

    def __init__(self, folder: Path) -> None:
        """Load it from the captioner's folder. Raises `UsageError` when images of one size are not what it makes."""
        from transformers import AutoImageProcessor

        # By Pillow also where torchvision is installed: pixels are the same everywhere.
        self._processor: Any = AutoImageProcessor.from_pretrained(folder, local_files_only=True, backend="pil")
        self.target_size: TargetSize = _sight(self._processor, folder)
        self.mean: list[float] = list(self._processor.image_mean)
        self.std: list[float] = list(self._processor.image_std)

    def pixels(self, views: Sequence[npt.NDArray[np.uint8]]) -> "torch.Tensor":
        """A batch of views as the model's input: float32 (n, 3, height, width)."""
        import torch
        from PIL import Image

        images = [Image.fromarray(view) for view in views]
        pixels = self._processor(images=images, return_tensors="np")["pixel_values"]
        return torch.from_numpy(np.asarray(pixels, dtype=np.float32))


def _sight(processor: Any, folder: Path) -> TargetSize:
    size, resample = processor.size, int(getattr(processor, "resample", None) or 0)
    if getattr(processor, "do_resize", False) and not getattr(processor, "do_pad", False):
        if size.height and size.width:
            return TargetSize(size.width, size.height, resample)
        if size.shortest_edge and not size.longest_edge and getattr(processor, "do_center_crop", False):
            return TargetSize(size.shortest_edge, size.shortest_edge, resample, middle=True)
    raise UsageError(f"{folder} cannot caption: its preprocessor_config.json does not bring images to one size")
