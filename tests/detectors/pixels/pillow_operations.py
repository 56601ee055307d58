"""The same operations by Pillow alone, as the study's code calls it (through torchvision, whose matrix of a shear is
written out here)."""

import io
import math

import numpy as np
from PIL import Image

BILINEAR = Image.Resampling.BILINEAR


def jpeg(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def rotate(image, degrees):
    return image.rotate(degrees, BILINEAR)


def translate(image, right, down):
    return image.transform(image.size, Image.Transform.AFFINE, (1, 0, -right, 0, 1, -down), BILINEAR)


def shear(image, x_degrees, y_degrees):
    x, y = math.tan(math.radians(x_degrees)), math.tan(math.radians(y_degrees))
    a, b, c, d = 1 + x * y, x, y, 1.0
    middle, centre = image.width * 0.5, image.height * 0.5
    matrix = (a, b, middle - a * middle - b * centre, c, d, centre - c * middle - d * centre)
    return image.transform(image.size, Image.Transform.AFFINE, matrix, BILINEAR)


def pad_and_resize(image, borders, grey):
    left, top, right, bottom = borders
    padded = Image.new("RGB", (image.width + left + right, image.height + top + bottom), (grey,) * 3)
    padded.paste(image, (left, top))
    return padded.resize(image.size, BILINEAR)


def cut_out(image, top, left, height, width, grey):
    changed = np.array(image)
    changed[top : top + height, left : left + width] = grey
    return Image.fromarray(changed)
