"""The study's augmentation by Pillow alone, written for the benchmark from its description: each of eleven operations
none, one or two times, in random order, on Pillow images."""

import io
import math
import random

import cv2
import numpy as np
import torch
from PIL import Image

from detectors.pixels.inputs import IMAGENET

Picture = Image.Image
_BILINEAR = Image.Resampling.BILINEAR


def augmented(picture: Picture, first: int, side: int) -> torch.Tensor:
    """A picture as the network's input (3, side, side), resized to a shorter side of `first` before."""
    picture = _shorter(picture, first, _BILINEAR)
    operations = [operation for operation in _OPERATIONS for _ in range(random.randint(0, 2))]
    random.shuffle(operations)
    for operation in operations:
        picture = operation(picture, side)
    tensor = torch.from_numpy(np.array(_crop(picture, side))).permute(2, 0, 1).contiguous().to(torch.float32).div(255)
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in IMAGENET)
    return tensor.sub_(mean).div_(deviation)


def _shorter(picture: Picture, side: int, kernel: Image.Resampling) -> Picture:
    factor = side / min(picture.size)
    return picture.resize((max(side, int(picture.width * factor)), max(side, int(picture.height * factor))), kernel)


def _jpeg(picture: Picture, side: int) -> Picture:  # noqa: ARG001
    quality = random.randint(75, 100)
    if random.random() < 0.5:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("RGB")
    encoded = cv2.imencode(".jpg", np.array(picture)[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return Image.fromarray(np.asarray(cv2.imdecode(encoded, 1))[:, :, ::-1])


def _resize(picture: Picture, side: int) -> Picture:
    kernel = random.choice([_BILINEAR, Image.Resampling.BICUBIC])
    return _shorter(picture, random.randint(side + 1, round(1.228 * side)), kernel)


def _crop(picture: Picture, side: int) -> Picture:
    left, top = random.randint(0, picture.width - side), random.randint(0, picture.height - side)
    return picture.crop((left, top, left + side, top + side))


def _mirror(picture: Picture, side: int) -> Picture:  # noqa: ARG001
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else picture


def _turn_over(picture: Picture, side: int) -> Picture:  # noqa: ARG001
    return picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if random.random() < 0.5 else picture


def _resized_crop(picture: Picture, side: int) -> Picture:
    kernel = random.choice(list(Image.Resampling))
    for _ in range(10):
        area = random.uniform(0.9, 1) * picture.width * picture.height
        ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if width <= picture.width and height <= picture.height:
            left, top = random.randint(0, picture.width - width), random.randint(0, picture.height - height)
            return _shorter(picture.crop((left, top, left + width, top + height)), side, kernel)
    return _shorter(picture, side, kernel)


def _rotate(picture: Picture, side: int) -> Picture:  # noqa: ARG001
    return picture.rotate(random.uniform(-15, 15), _BILINEAR)


def _affine(picture: Picture, matrix: tuple[float, ...]) -> Picture:
    return picture.transform(picture.size, Image.Transform.AFFINE, matrix, _BILINEAR)


def _translate(picture: Picture, side: int) -> Picture:  # noqa: ARG001
    right, down = (round(random.uniform(-0.1, 0.1) * length) for length in picture.size)
    return _affine(picture, (1, 0, -right, 0, 1, -down))


def _shear(picture: Picture, side: int) -> Picture:  # noqa: ARG001
    x, y = (math.tan(math.radians(random.uniform(-15, 15))) for _ in range(2))
    middle, centre, a = picture.width / 2, picture.height / 2, 1 + x * y
    return _affine(picture, (a, x, middle - a * middle - x * centre, y, 1, -y * middle))


def _pad(picture: Picture, side: int) -> Picture:  # noqa: ARG001
    left, top, right, bottom = (int(random.uniform(0, 0.05) * length) for length in picture.size * 2)
    size = picture.width + left + right, picture.height + top + bottom
    padded = Image.new("RGB", size, (random.randint(0, 255),) * 3)
    padded.paste(picture, (left, top))
    return padded.resize(picture.size, _BILINEAR)


def _cut_out(picture: Picture, side: int) -> Picture:  # noqa: ARG001
    # Through a tensor and back, whether it is applied or not.
    tensor = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()
    if random.random() < 0.5:
        area = random.uniform(0.02, 0.06) * picture.width * picture.height
        ratio = math.exp(random.uniform(math.log(0.3), math.log(3.3)))
        height, width = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        top, left = random.randint(0, picture.height - height), random.randint(0, picture.width - width)
        tensor = tensor.clone()
        tensor[:, top : top + height, left : left + width] = random.randint(0, 255)
    return Image.fromarray(tensor.permute(1, 2, 0).numpy())


_OPERATIONS = (
    _jpeg, _resize, _crop, _mirror, _turn_over, _resized_crop, _rotate, _translate, _shear, _pad, _cut_out
)  # fmt: skip
