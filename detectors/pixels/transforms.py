"""Transforms for robustness: what happens to images on the web, applied before a detector sees them.

Transforms of the study's figure 7 (JPEG, blur, resize, padding, rotation, shear) with the points of its axes, and four
more. They are applied to real and generated images alike, at their own size, before the detector's own resizing and
cropping. A choice by chance (left or right, width or height) is a hash of the image's pixels: it is the same at every
strength, in every process and for every detector.

    jpeg=75,50      two transforms: JPEG of quality 75, and of quality 50
    jpeg            JPEG at each of its usual strengths
    robustness      all of figure 7

Where the study leaves something open, the docstrings of the functions say what is done here.
"""

import io
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from workspace.errors import UsageError

Pixels = npt.NDArray[np.uint8]
"""An RGB image: uint8 of shape (height, width, 3)."""

#: Quality of the second JPEG of `double-jpeg`: Pillow's and libjpeg's default.
_SECOND_QUALITY = 75


@dataclass(frozen=True)
class Transform:
    """One transform of a given strength; `none` leaves an image as it is."""

    name: str
    strength: float | None

    def apply(self, image: Pixels) -> Pixels:
        """The transformed image: RGB uint8; of the same size, except after `crop`. `image` is not changed."""
        if self.strength is None:
            return image
        kind = KINDS[self.name]
        chance = zlib.crc32(np.ascontiguousarray(image).data, zlib.crc32(self.name.encode()))
        return kind.function(image, self.strength, chance)

    def __str__(self) -> str:
        return self.name if self.strength is None else f"{self.name}={self.strength:g}"


#: The images as they are.
ORIGINAL = Transform("none", None)


def parse(text: str) -> list[Transform]:
    """The transforms that a text names, as in this module's docstring.

    Raises `UsageError` for an unknown name and for a strength out of range.
    """
    name, equals, strengths = text.strip().partition("=")
    if name == "none" and not equals:
        return [ORIGINAL]
    if name == "robustness" and not equals:
        return [Transform(each, strength) for each in FIGURE_7 for strength in KINDS[each].usual]
    kind = KINDS.get(name)
    if kind is None:
        raise UsageError(f"unknown transform {name!r}; known are none, robustness, {', '.join(KINDS)}")
    if not equals:
        return [Transform(name, strength) for strength in kind.usual]
    return [Transform(name, kind.read(name, strength)) for strength in strengths.split(",")]


def parse_all(texts: Sequence[str]) -> list[Transform]:
    """The images as they are, then what the texts name, each once."""
    return list(dict.fromkeys([ORIGINAL, *(transform for text in texts for transform in parse(text))]))


@dataclass(frozen=True)
class Kind:
    """A kind of transform: its function of image, strength and a number by chance, and which strengths it takes."""

    function: Callable[[Pixels, float, int], Pixels]
    unit: str
    lowest: float
    highest: float
    usual: tuple[float, ...]

    def read(self, name: str, text: str) -> float:
        """A strength from text; raises `UsageError`."""
        try:
            strength = float(text)
        except ValueError:
            strength = math.nan
        if not self.lowest <= strength <= self.highest:
            raise UsageError(
                f"{name}={text}: the strength is {self.unit}, a number from {self.lowest:g} to {self.highest:g}, "
                f"such as {name}={self.usual[0]:g}"
            )
        return strength


def _encoded(image: Pixels, format: str, quality: float) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(image).save(file, format, quality=round(quality))
    return np.asarray(Image.open(file).convert("RGB"))


def _jpeg(image: Pixels, quality: float, _chance: int) -> Pixels:
    """JPEG with Pillow's chroma subsampling, 4:2:0."""
    return _encoded(image, "JPEG", quality)


def _double_jpeg(image: Pixels, quality: float, _chance: int) -> Pixels:
    """JPEG of this quality, and then of quality 75: a photograph that a site encodes again."""
    return _encoded(_encoded(image, "JPEG", quality), "JPEG", _SECOND_QUALITY)


def _webp(image: Pixels, quality: float, _chance: int) -> Pixels:
    return _encoded(image, "WEBP", quality)


def _blur(image: Pixels, deviation: float, _chance: int) -> Pixels:
    """Gaussian blur, its standard deviation in pixels; the border is mirrored."""
    return _uint8(cv2.GaussianBlur(image, (0, 0), deviation))


def _resize(image: Pixels, fraction: float, chance: int) -> Pixels:
    """Height and width each (1 - fraction) or (1 + fraction) times as long, by chance, and back. Bilinear with Pillow,
    which averages where it reduces."""
    height, width = image.shape[:2]
    lengths = [
        max(1, round(length * (1 + fraction if chance >> bit & 1 else 1 - fraction)))
        for bit, length in enumerate((width, height))
    ]
    return _scaled(_scaled(image, lengths[0], lengths[1]), width, height)


def _pad(image: Pixels, fraction: float, chance: int) -> Pixels:
    """Width or height, by chance, grows by this fraction, half of it at each end, in black; then the image gets its old
    size again. Bilinear with Pillow."""
    height, width = image.shape[:2]
    padded = [(0, 0), (0, 0), (0, 0)]
    axis = chance & 1
    added = round(fraction * image.shape[axis])
    padded[axis] = (added // 2, added - added // 2)
    return _scaled(np.pad(image, padded), width, height)


def _rotate(image: Pixels, degrees: float, chance: int) -> Pixels:
    """About the centre, to the left or right by chance, inside the same frame; bilinear, black where nothing is."""
    height, width = image.shape[:2]
    signed = degrees if chance & 1 else -degrees
    return _warped(image, cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), signed, 1.0))


def _shear(image: Pixels, degrees: float, chance: int) -> Pixels:
    """Along width or height and to either side, by chance, about the centre, inside the same frame; bilinear, black
    where nothing is."""
    height, width = image.shape[:2]
    slope = math.tan(math.radians(degrees)) * (1 if chance & 1 else -1)
    matrix = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    if chance >> 1 & 1:
        matrix[0, 1:] = slope, -slope * (height - 1) / 2
    else:
        matrix[1, 0], matrix[1, 2] = slope, -slope * (width - 1) / 2
    return _warped(image, matrix)


def _crop(image: Pixels, fraction: float, _chance: int) -> Pixels:
    """The centre: this fraction of width and height."""
    height, width = image.shape[:2]
    kept_height, kept_width = max(1, round(height * fraction)), max(1, round(width * fraction))
    top, left = (height - kept_height) // 2, (width - kept_width) // 2
    return np.ascontiguousarray(image[top : top + kept_height, left : left + kept_width])


def _scaled(image: Pixels, width: int, height: int) -> Pixels:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def _warped(image: Pixels, matrix: npt.NDArray[np.float64]) -> Pixels:
    height, width = image.shape[:2]
    return _uint8(cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR))


def _uint8(image: npt.ArrayLike) -> Pixels:
    return np.asarray(image, dtype=np.uint8)


_DEGREES = (15.0, 30.0, 45.0, 60.0, 75.0)

#: Every kind by its name. The usual strengths of the first six are the points of figure 7's axes.
KINDS = {
    "jpeg": Kind(_jpeg, "a quality", 1, 100, (100.0, 84.0, 68.0, 52.0, 36.0)),
    "blur": Kind(_blur, "a standard deviation in pixels", 0.1, 20, (0.5, 0.9, 1.3, 1.7, 2.0)),
    "resize": Kind(_resize, "a fraction of width and height", 0.01, 0.95, (0.15, 0.3, 0.45, 0.6, 0.75)),
    "pad": Kind(_pad, "a fraction of width or height", 0.01, 4, (0.25, 0.5, 0.75, 1.0, 1.25)),
    "rotate": Kind(_rotate, "an angle in degrees", 0, 180, _DEGREES),
    "shear": Kind(_shear, "an angle in degrees", 0, 85, _DEGREES),
    "webp": Kind(_webp, "a quality", 1, 100, (90.0, 75.0, 50.0, 30.0)),
    "double-jpeg": Kind(_double_jpeg, "the first quality", 1, 100, (95.0, 85.0, 65.0, 50.0)),
    "crop": Kind(_crop, "the fraction of width and height that is kept", 0.05, 1, (0.5,)),
}

#: The kinds of figure 7.
FIGURE_7 = ("jpeg", "blur", "resize", "pad", "rotate", "shear")
