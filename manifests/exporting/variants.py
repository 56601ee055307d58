"""Variants: real and generated images encoded anew in the same way, in a tree of their own.

A variant is what the readers of these trees see of the file (its pixels as stored, converted to RGB, without metadata),
resized with Pillow's bicubic filter where that was asked for, then written by Pillow as JPEG of one quality (4:2:0) or
as PNG.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workspace.errors import UsageError

if TYPE_CHECKING:
    from PIL import Image

#: Pixels of a side at most.
_LARGEST_SIDE = 16_384
_RESIZE = re.compile("([0-9]{1,5})(?:x([0-9]{1,5}))?", re.ASCII)

#: The name of the tree of unchanged files, where there are variants too.
UNCHANGED = "original"


@dataclass(frozen=True)
class Variant:
    """How images are encoded anew. `resize`: width and height in pixels, or the shorter side with None; None: not.
    `jpeg`: the quality; None: PNG."""

    resize: tuple[int, int | None] | None
    jpeg: int | None

    @property
    def name(self) -> str:
        """Its name in the side table, which is that of its tree's folder: resize256-jpeg75."""
        parts = []
        if self.resize is not None:
            parts.append("resize" + "x".join(str(side) for side in self.resize if side is not None))
        if self.jpeg is not None:
            parts.append(f"jpeg{self.jpeg}")
        return "-".join(parts)

    @property
    def extension(self) -> str:
        """Of its files."""
        return "png" if self.jpeg is None else "jpg"

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The size of the result for an image of this size; the longer side is rounded down, as torchvision does."""
        if self.resize is None:
            return width, height
        short, other = self.resize
        if other is not None:
            return short, other
        if width <= height:
            return short, max(1, short * height // width)
        return max(1, short * width // height), short

    def apply(self, image: "Image.Image") -> "Image.Image":
        """The resized image, of an image in RGB."""
        from PIL import Image

        size = self.size(image.width, image.height)
        return image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)


def variants_of(resize: str | None, qualities: Sequence[int]) -> list[Variant]:
    """The variants that options ask for. Raises `UsageError` for a size or quality that is none."""
    size = None if resize is None else parse_size(resize)
    for quality in qualities:
        if not 1 <= quality <= 100:
            raise UsageError(f"--jpeg {quality}: a quality is a number from 1 to 100")
    if size is None and not qualities:
        return []
    return [Variant(size, quality) for quality in dict.fromkeys(qualities)] or [Variant(size, None)]


def parse_size(text: str) -> tuple[int, int | None]:
    """`N` or `WxH`; raises `UsageError` for anything else."""
    match = _RESIZE.fullmatch(text)
    sides = [int(side) for side in match.groups() if side is not None] if match else []
    if not sides or not all(1 <= side <= _LARGEST_SIDE for side in sides):
        raise UsageError(
            f"--resize {text!r}: give the shorter side (256), or width and height (256x256), from 1 to {_LARGEST_SIDE} "
            "pixels"
        )
    return sides[0], sides[1] if len(sides) == 2 else None
