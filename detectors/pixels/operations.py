"""What may be done to an image, with everything that is random given. Images are RGB bytes (height, width, 3).

OpenCV does most of it, because it is several times as fast as Pillow. Results are those of Pillow up to rounding and:
its kernels do not widen where an image becomes smaller, so a bilinear one follows a Gaussian blur there, and OpenCV's
bicubic one is used down to a factor of 3/4 only; that has the coefficient -0.75, Pillow's -0.5; rotations blend the
outermost pixels with the fill. Kernels that OpenCV lacks are Pillow's.
"""

import io
import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from detectors.pixels.inputs import Image

Kernel: TypeAlias = Literal["nearest", "bilinear", "bicubic", "lanczos", "hamming", "box"]
Encoder: TypeAlias = Literal["pillow", "opencv"]

#: Factors between which OpenCV replaces Pillow. Below the first a kernel that does not widen leaves out pixels; below
#: the second a blur before a bilinear one is no faster.
_SMALLEST = {"bicubic": 0.75, "bilinear": 0.25}
_BLURRED_BELOW = 0.85
_OPENCV = {"nearest": cv2.INTER_NEAREST_EXACT, "bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}
_PILLOW = {
    "nearest": Pillow.Resampling.NEAREST,
    "bilinear": Pillow.Resampling.BILINEAR,
    "bicubic": Pillow.Resampling.BICUBIC,
    "lanczos": Pillow.Resampling.LANCZOS,
    "hamming": Pillow.Resampling.HAMMING,
    "box": Pillow.Resampling.BOX,
}


def jpeg(image: Image, quality: int, encoder: Encoder) -> Image:
    """Compressed and decoded again, with 4:2:0 chroma, the default of both."""
    if encoder == "opencv":
        encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return np.asarray(cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))
    buffer = io.BytesIO()
    Pillow.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Pillow.open(buffer))


def resize(image: Image, size: tuple[int, int], kernel: Kernel) -> Image:
    """Height and width of `size`."""
    height, width = image.shape[:2]
    if (height, width) == size:
        return image
    enlarged = size[0] >= height and size[1] >= width
    if kernel == "box" and enlarged:
        kernel = "nearest"  # the same where an image becomes larger
    factor = min(size[0] / height, size[1] / width)
    if kernel in _OPENCV and factor >= _SMALLEST.get(kernel, 0):
        if kernel == "bilinear" and factor < _BLURRED_BELOW:
            image = _widened(image, factor)
        return np.asarray(cv2.resize(image, size[::-1], interpolation=_OPENCV[kernel]))
    return np.asarray(Pillow.fromarray(image).resize(size[::-1], _PILLOW[kernel]))


def _widened(image: Image, factor: float) -> Image:
    """Blurred by what a triangle of half-width 1/factor blurs more than one of half-width 1.

    Their variances differ by (1/factor^2 - 1) / 6; a divisor of 5 is closer to Pillow on photographs: 0.2 to 0.8 grey
    levels in the mean, without a blur 1 to 4.
    """
    deviation = math.sqrt((factor**-2 - 1) / 5)
    side = max(3, 2 * int(3 * deviation + 0.5) + 1)
    return np.asarray(cv2.GaussianBlur(image, (side, side), deviation))


def crop(image: Image, top: int, left: int, height: int, width: int) -> Image:
    """The part of it."""
    return image[top : top + height, left : left + width]


def mirror(image: Image) -> Image:
    """Left and right exchanged."""
    return np.asarray(cv2.flip(image, 1))


def turn_over(image: Image) -> Image:
    """Top and bottom exchanged."""
    return np.asarray(cv2.flip(image, 0))


def quarter_turns(image: Image, turns: int) -> Image:
    """Rotated by so many right angles, counter-clockwise."""
    return np.ascontiguousarray(np.rot90(image, turns))


def rotate(image: Image, degrees: float) -> Image:
    """Rotated counter-clockwise about the centre, bilinear, black where nothing was."""
    angle = math.radians(degrees)
    return _mapped(image, math.cos(angle), -math.sin(angle), math.sin(angle), math.cos(angle))


def shear(image: Image, x_degrees: float, y_degrees: float) -> Image:
    """Sheared about the centre along both axes, as torchvision's `affine` does, bilinear, black where nothing was."""
    x, y = (math.tan(math.radians(degrees)) for degrees in (x_degrees, y_degrees))
    return _mapped(image, 1 + x * y, x, y, 1)


def _mapped(image: Image, a: float, b: float, c: float, d: float) -> Image:
    """Each pixel from where the matrix (a b; c d) takes it, about the centre of the image."""
    height, width = image.shape[:2]
    x, y = (width - 1) / 2, (height - 1) / 2  # pixels are at whole numbers
    matrix = np.array([[a, b, x - a * x - b * y], [c, d, y - c * x - d * y]])
    # Four channels take half the time of three.
    four = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
    mapped = cv2.warpAffine(four, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return np.asarray(cv2.cvtColor(mapped, cv2.COLOR_RGBA2RGB))


def translate(image: Image, right: int, down: int) -> Image:
    """Moved by whole pixels, black where nothing was."""
    height, width = image.shape[:2]
    moved = np.zeros_like(image)
    top, left = max(down, 0), max(right, 0)
    part = image[max(-down, 0) : height - top, max(-right, 0) : width - left]
    moved[top : top + part.shape[0], left : left + part.shape[1]] = part
    return moved


def pad_and_resize(image: Image, borders: Sequence[int], grey: int) -> Image:
    """With borders (left, top, right, bottom) of one grey, and bilinear at the former size."""
    left, top, right, bottom = borders
    padded = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(grey, grey, grey))
    return resize(padded, (image.shape[0], image.shape[1]), "bilinear")


def cut_out(image: Image, top: int, left: int, height: int, width: int, grey: int) -> Image:
    """With a rectangle of one grey."""
    changed = image.copy()
    changed[top : top + height, left : left + width] = grey
    return changed


def blur(image: Image, deviation: float) -> Image:
    """Gaussian blur of so many pixels, cut at four deviations, mirrored at the border, as scipy's `gaussian_filter`."""
    side = 2 * int(4 * deviation + 0.5) + 1
    if side == 1:
        return image
    return np.asarray(cv2.GaussianBlur(image, (side, side), deviation, borderType=cv2.BORDER_REFLECT))


def add_noise(image: Image, noise: npt.NDArray[np.floating]) -> Image:
    """With noise added, of the image's shape, in grey levels."""
    return np.asarray(np.clip(np.rint(image + noise), 0, 255).astype(np.uint8))


def grey(image: Image) -> Image:
    """Without colour, by the weights of ITU-R 601."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB))
