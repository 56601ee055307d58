"""What a network is given of an image: resized, cropped, scaled to the mean and deviation that it was trained with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Image: TypeAlias = npt.NDArray[np.uint8]
"""RGB of shape (height, width, 3). Defined here as well: a process behind walls imports nothing of the index."""

#: Mean and standard deviation of ImageNet's pixels, of 0 to 1, in RGB, as torchvision documents them.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
#: The same of CLIP's training images, from its preprocessing.
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


@dataclass(frozen=True)
class Input:
    """The input of a network."""

    crop: int
    """Pixels a side of the square that it sees, from the centre."""
    resize: int | None = None
    """Pixels of the shorter side before; None: it is resized only if it is shorter than the crop, so that no border is
    added."""
    mean: tuple[float, float, float] = IMAGENET[0]
    deviation: tuple[float, float, float] = IMAGENET[1]

    def prepared(self, image: Image) -> Image:
        """The centre of an image, resized: (crop, crop, 3).

        By Pillow's bilinear kernel, which widens where it makes smaller, as torchvision's `Resize` of a Pillow image
        does: published weights were trained with it.
        """
        return centre(self.resized(image), self.crop)

    def resized(self, image: Image) -> Image:
        """The image with the shorter side of `resize`, in its proportions, at least as large as the crop."""
        if self.resize is None:
            return image if min(image.shape[:2]) >= self.crop else resize_shorter(image, self.crop)
        return resize_shorter(image, self.resize)

    def tensor(self, images: Sequence[Image]) -> "torch.Tensor":
        """Prepared images as float32 of shape (images, 3, crop, crop)."""
        import torch

        return self.normalized(torch.from_numpy(np.stack(images)))

    def normalized(self, pixels: "torch.Tensor") -> "torch.Tensor":
        """Bytes of shape (images, crop, crop, 3), on any device, as `tensor`."""
        import torch

        mean, deviation = (
            torch.tensor(values, device=pixels.device).view(1, 3, 1, 1) * 255 for values in (self.mean, self.deviation)
        )
        # Bytes are moved before they are floats: a fourth of the memory.
        return pixels.permute(0, 3, 1, 2).contiguous().to(torch.float32).sub_(mean).div_(deviation)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Input":
        """What `as_dict` gave."""
        return cls(content["crop"], content["resize"], tuple(content["mean"]), tuple(content["deviation"]))

    def as_dict(self) -> dict[str, Any]:
        """As model.json has it."""
        return {"crop": self.crop, "resize": self.resize, "mean": list(self.mean), "deviation": list(self.deviation)}


def shorter_to(size: tuple[int, int], shorter: int) -> tuple[int, int]:
    """Height and width with the shorter side of `shorter` pixels, the longer rounded down as torchvision does."""
    height, width = size
    if height <= width:
        return shorter, max(shorter, int(shorter * width / height))
    return max(shorter, int(shorter * height / width)), shorter


def resize_shorter(image: Image, shorter: int) -> Image:
    """Resize to a shorter side of so many pixels, by Pillow's bilinear kernel."""
    from PIL import Image as Pillow

    height, width = shorter_to(image.shape[:2], shorter)
    if (height, width) == image.shape[:2]:
        return image
    resized = Pillow.fromarray(image).resize((width, height), Pillow.Resampling.BILINEAR)
    return np.asarray(resized)


def centre(image: Image, size: int) -> Image:
    """The square of `size` pixels in the middle, of an image that is at least as large."""
    top, left = (round((length - size) / 2) for length in image.shape[:2])
    return image[top : top + size, left : left + size]
