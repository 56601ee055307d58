"""Preprocessing: from resized images to the captioner's input tensor, as its `preprocessor_config.json` says.

Images are resized where they are decoded (`captioning/target_size.py`), so the captioner's own image processor only
crops and normalises. Image processors that give images of different sizes, or several images for one, cannot be used.
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
        """Load it from the captioner's folder. Raises `UsageError` when its images are not all of one size."""
        from transformers import AutoImageProcessor

        # By Pillow also where torchvision is installed: pixels are the same on every machine.
        self._processor: Any = AutoImageProcessor.from_pretrained(folder, local_files_only=True, backend="pil")
        self.target_size: TargetSize = _target_size(self._processor, folder)
        self.mean: list[float] = list(self._processor.image_mean)
        self.std: list[float] = list(self._processor.image_std)

    def to_tensor(self, images: Sequence[npt.NDArray[np.uint8]]) -> "torch.Tensor":
        """A batch of images as the model's input: float32 of shape (n, 3, height, width), normalised."""
        import torch
        from PIL import Image

        opened = [Image.fromarray(image) for image in images]
        pixels = self._processor(images=opened, return_tensors="np")["pixel_values"]
        return torch.from_numpy(np.asarray(pixels, dtype=np.float32))


def _target_size(processor: Any, folder: Path) -> TargetSize:
    size, resample = processor.size, int(getattr(processor, "resample", None) or 0)
    if getattr(processor, "do_resize", False) and not getattr(processor, "do_pad", False):
        if size.height and size.width:
            return TargetSize(size.width, size.height, resample)
        if size.shortest_edge and not size.longest_edge and getattr(processor, "do_center_crop", False):
            return TargetSize(size.shortest_edge, size.shortest_edge, resample, center_crop=True)
    raise UsageError(
        f"{folder} cannot be used: its preprocessor_config.json does not resize images to one size; "
        "name another --captioner"
    )
