"""The augmentation schemes: which operations an image gets, and how strongly.

rsa    the study's modified RandAugment: of each of eleven operations none, one or two, all in random order
ufd    blur and JPEG, each of half of the images, then a crop and a flip (Wang et al., Ojha et al.)
soft   grey, JPEG up to three times, noise, a resized crop, quarter turns and a flip (AI-GenBench's softer training set)
flip   a crop and a flip
crop   a crop
none   the centre, as in evaluation

Each gives the square that the network sees. The numbers of `rsa` are those of the study's code.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from detectors.pixels import operations
from detectors.pixels.inputs import Image, Input, resize_shorter, shorter_to
from detectors.pixels.operations import Kernel

Random: TypeAlias = np.random.Generator
Scheme: TypeAlias = Callable[[Image, Random], Image]
Operation: TypeAlias = Callable[[Image, Random, int], Image]
"""An image, random numbers and the side of the crop."""

#: How often each operation is applied, at most.
_MOST = 2


def scheme(name: str, sees: Input, probability: float = 0.5) -> Scheme:
    """The scheme of this name for this input; `probability`: of blur and of JPEG in `ufd`. Raises `KeyError`."""
    if name == "rsa":
        return lambda image, random: rsa(_first(image, sees), random, sees.crop)
    if name == "ufd":
        return lambda image, random: ufd(_first(image, sees), random, sees.crop, probability)
    return {
        "soft": lambda image, random: soft(image, random, sees),
        "flip": lambda image, random: _flipped(random_crop(_first(image, sees), random, sees.crop), random),
        "crop": lambda image, random: random_crop(_first(image, sees), random, sees.crop),
        "none": lambda image, random: sees.prepared(image),  # noqa: ARG005
    }[name]


def _first(image: Image, sees: Input) -> Image:
    """At the size where augmentation begins: that of evaluation, at least as large as the crop."""
    shorter = sees.resize if sees.resize is not None else max(sees.crop, min(image.shape[:2]))
    return operations.resize(image, shorter_to(_size(image), shorter), "bilinear")


def rsa(image: Image, random: Random, side: int) -> Image:
    """The study's: a count from {0, 1, 2} for each operation, all in random order, then a random crop."""
    counts = random.integers(0, _MOST + 1, len(OPERATIONS))
    for number in random.permutation(np.repeat(np.arange(len(OPERATIONS)), counts)):
        image = OPERATIONS[number](image, random, side)
    return random_crop(image, random, side)


def ufd(image: Image, random: Random, side: int, probability: float) -> Image:
    """Blur of deviation 0 to 3, then JPEG of quality 30 to 100, each with this probability; a crop and a flip.

    Images are resized to 256 for a crop of 224 before, as in the code of Ojha et al.
    """
    image = operations.resize(image, shorter_to(_size(image), round(side * 256 / 224)), "bilinear")
    if random.random() < probability:
        image = operations.blur(image, random.uniform(0, 3))
    if random.random() < probability:
        image = _compressed(image, random, 30)
    return _flipped(random_crop(image, random, side), random)


def soft(image: Image, random: Random, sees: Input) -> Image:
    """AI-GenBench's softer pipeline, then a random crop."""
    if random.random() < 0.1:
        image = operations.grey(image)
    if random.random() < 0.5:
        image = _compressed(image, random, 50)
    if random.random() < 0.3:
        deviation = 255 * random.uniform(0.015, 0.075)
        image = operations.add_noise(image, deviation * random.standard_normal(image.shape, np.float32))
    if random.random() < 0.2:
        image = _compressed(image, random, 50)
    if random.random() < 0.25:
        to = int(random.integers(256, 513))
        kernel: Kernel = ("bilinear", "bicubic", "lanczos")[random.integers(3)]
        image = operations.resize(_part(image, random, (0.5, 1.0), (0.9, 1 / 0.9)), (to, to), kernel)
    if random.random() < 0.1:
        image = _compressed(image, random, 50)
    image = _flipped(operations.quarter_turns(image, int(random.integers(4))), random)
    if min(image.shape[:2]) < sees.crop:
        image = resize_shorter(image, sees.crop)
    return random_crop(image, random, sees.crop)


def random_crop(image: Image, random: Random, side: int) -> Image:
    """A square of so many pixels a side, anywhere; the image is at least as large."""
    height, width = image.shape[:2]
    top, left = (int(random.integers(length - side + 1)) for length in (height, width))
    return operations.crop(image, top, left, side, side)


def _flipped(image: Image, random: Random) -> Image:
    return operations.mirror(image) if random.random() < 0.5 else image


def _compressed(image: Image, random: Random, lowest: int) -> Image:
    quality, pillow = int(random.integers(lowest, 101)), random.random() < 0.5
    return operations.jpeg(image, quality, "pillow" if pillow else "opencv")


def _jpeg(image: Image, random: Random, side: int) -> Image:  # noqa: ARG001
    return _compressed(image, random, 75)


def _resize(image: Image, random: Random, side: int) -> Image:
    shorter = int(random.integers(side + 1, round(1.228 * side) + 1))
    kernel: Kernel = "bilinear" if random.random() < 0.5 else "bicubic"
    return operations.resize(image, shorter_to(_size(image), shorter), kernel)


def _mirror(image: Image, random: Random, side: int) -> Image:  # noqa: ARG001
    return _flipped(image, random)


def _turn_over(image: Image, random: Random, side: int) -> Image:  # noqa: ARG001
    return operations.turn_over(image) if random.random() < 0.5 else image


def _resized_crop(image: Image, random: Random, side: int) -> Image:
    """Its shorter side, not both, is that of the crop."""
    part = _part(image, random, (0.9, 1.0), (3 / 4, 4 / 3))
    kernels: tuple[Kernel, ...] = ("nearest", "bilinear", "bicubic", "lanczos", "hamming", "box")
    return operations.resize(part, shorter_to(_size(part), side), kernels[random.integers(len(kernels))])


def _rotate(image: Image, random: Random, side: int) -> Image:  # noqa: ARG001
    return operations.rotate(image, random.uniform(-15, 15))


def _translate(image: Image, random: Random, side: int) -> Image:  # noqa: ARG001
    height, width = image.shape[:2]
    right, down = (round(random.uniform(-0.1, 0.1) * length) for length in (width, height))
    return operations.translate(image, right, down)


def _shear(image: Image, random: Random, side: int) -> Image:  # noqa: ARG001
    return operations.shear(image, random.uniform(-15, 15), random.uniform(-15, 15))


def _pad(image: Image, random: Random, side: int) -> Image:  # noqa: ARG001
    height, width = image.shape[:2]
    borders = [int(random.uniform(0, 0.05) * length) for length in (width, height, width, height)]
    return operations.pad_and_resize(image, borders, int(random.integers(256)))


def _cut_out(image: Image, random: Random, side: int) -> Image:  # noqa: ARG001
    if random.random() >= 0.5:
        return image
    (height, width), grey = image.shape[:2], int(random.integers(256))
    # As torchvision's RandomErasing: ten tries for a rectangle that fits.
    for _ in range(10):
        area = random.uniform(0.02, 0.06) * height * width
        ratio = math.exp(random.uniform(math.log(0.3), math.log(3.3)))
        tall, wide = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if tall < height and wide < width:
            top, left = int(random.integers(height - tall + 1)), int(random.integers(width - wide + 1))
            return operations.cut_out(image, top, left, tall, wide, grey)
    return image


def _part(image: Image, random: Random, scale: tuple[float, float], ratio: tuple[float, float]) -> Image:
    """A random part of this share of the area and ratio of width to height, as torchvision's RandomResizedCrop: ten
    tries, then the largest part in the middle whose ratio is allowed."""
    height, width = image.shape[:2]
    for _ in range(10):
        area = random.uniform(*scale) * height * width
        aspect = math.exp(random.uniform(math.log(ratio[0]), math.log(ratio[1])))
        wide, tall = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < wide <= width and 0 < tall <= height:
            top, left = int(random.integers(height - tall + 1)), int(random.integers(width - wide + 1))
            return operations.crop(image, top, left, tall, wide)
    wide, tall = min(width, round(height * ratio[1])), min(height, round(width / ratio[0]))
    return operations.crop(image, (height - tall) // 2, (width - wide) // 2, tall, wide)


def _size(image: Image) -> tuple[int, int]:
    return image.shape[0], image.shape[1]


def _crop(image: Image, random: Random, side: int) -> Image:
    return random_crop(image, random, side)


OPERATIONS: tuple[Operation, ...] = (
    _jpeg,
    _resize,
    _crop,
    _mirror,
    _turn_over,
    _resized_crop,
    _rotate,
    _translate,
    _shear,
    _pad,
    _cut_out,
)
"""The eleven operations of `rsa`."""
