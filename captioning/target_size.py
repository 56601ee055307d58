"""TargetSize: the few pixels a captioner looks at of an image, and how much of a JPEG has to be decoded for them.

An image is brought to the captioner's size where it is decoded, so that a photograph of 12 megapixels never travels
between processes. The resizing is Pillow's, with the filter that the captioner's own preprocessing names, so the
captioner's preprocessing, which finds the size right, changes nothing.

A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size, which skips most of the work. The smallest is taken that leaves
each side `JPEG_DETAIL` times as long as what the captioner looks at; whatever is smaller than that is decoded whole.
Pixels then differ a little from those of a full decoding, in the same way everywhere: `JPEG_DETAIL` is in the recipe.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

JPEG_DETAIL = 1.5
"""Each side of a JPEG that was decoded reduced, over the captioner's, at least."""

_LONGEST = 4
"""An image that is cropped to its middle is cut to this ratio of its sides before, or a line would fill the memory."""


@dataclass(frozen=True)
class TargetSize:
    """What a captioner looks at: the image squeezed to width x height, or with `middle` brought to that height or
    width, whichever is reached first, with its proportions kept, to be cropped by the captioner's preprocessing.

    `resample` is Pillow's number of a filter.
    """

    width: int
    height: int
    resample: int
    middle: bool = False

    @property
    def least(self) -> int:
        """Pixels that each side of a reduced JPEG must have."""
        return math.ceil(JPEG_DETAIL * max(self.width, self.height))

    def of(self, view: "Image.Image") -> "Image.Image":
        """The view at the captioner's size."""
        from PIL import Image

        resample = Image.Resampling(self.resample)
        if not self.middle:
            return view.resize((self.width, self.height), resample)
        view = _without_ends(view)
        edge, shortest = max(self.width, self.height), min(view.size)
        # Rounded as transformers does, or it would resize again.
        width, height = (int(edge * side / shortest) for side in view.size)
        return view.resize((width, height), resample)


def _without_ends(view: "Image.Image") -> "Image.Image":
    """The middle of a view that is more than `_LONGEST` times as long as wide."""
    longest = _LONGEST * min(view.size)
    width, height = (min(side, longest) for side in view.size)
    left, top = (view.width - width) // 2, (view.height - height) // 2
    return view.crop((left, top, left + width, top + height))
