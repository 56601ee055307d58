"""The size at which a captioner looks at images, and how much of a JPEG has to be decoded for it.

An image is resized for the captioner where it is decoded, so that a photograph of 12 megapixels never travels between
processes. Resizing is Pillow's, with the filter that the captioner's own preprocessing names. The captioner's
preprocessing finds the size right and does not resize again.

A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size, which skips most of the work. The smallest of these is taken that
leaves each side at least `JPEG_DETAIL` times as long as the captioner's; otherwise the JPEG is decoded in full size.
Pixels then differ a little from those of a full decoding, in the same way on every machine: `JPEG_DETAIL` is in the
recipe.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

JPEG_DETAIL = 1.5
"""Least ratio of a side of a JPEG that is decoded at reduced size to the captioner's."""

_MAX_ASPECT_RATIO = 4
"""Before its center is cropped, an image is cut to this ratio of its sides: a line one pixel wide, enlarged, would fill
the memory."""


@dataclass(frozen=True)
class TargetSize:
    """The size at which a captioner looks at images, in pixels.

    Without `center_crop` an image is resized to `width` x `height`, whatever its proportions. With it the shorter side
    is resized to the greater of the two and proportions are kept; the captioner's preprocessing crops the center.
    `resample` is Pillow's number of the filter (`PIL.Image.Resampling`).
    """

    width: int
    height: int
    resample: int
    center_crop: bool = False

    @property
    def min_jpeg_side(self) -> int:
        """Pixels that each side of a JPEG decoded at reduced size must have at least."""
        return math.ceil(JPEG_DETAIL * max(self.width, self.height))

    def resize(self, image: "Image.Image") -> "Image.Image":
        """The image at this size."""
        from PIL import Image

        resample = Image.Resampling(self.resample)
        if not self.center_crop:
            return image.resize((self.width, self.height), resample)
        image = _limit_aspect_ratio(image)
        edge, shortest = max(self.width, self.height), min(image.size)
        # Rounded as transformers does; otherwise it would resize again.
        width, height = (int(edge * side / shortest) for side in image.size)
        return image.resize((width, height), resample)


def _limit_aspect_ratio(image: "Image.Image") -> "Image.Image":
    """The center of an image whose longer side is more than `_MAX_ASPECT_RATIO` times the shorter one."""
    longest = _MAX_ASPECT_RATIO * min(image.size)
    width, height = (min(side, longest) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
