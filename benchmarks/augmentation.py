"""The augmentation `rsa` against the same by Pillow alone, one image after the other on one core."""

import random
from collections.abc import Iterator

import cv2
import numpy as np
import torch
from PIL import Image

from benchmarks.plain_augmentation import augmented
from benchmarks.png import photographs
from benchmarks.timing import Comparison, compare
from detectors.pixels.inputs import Input
from detectors.pixels.schemes import scheme

#: Images of one round, each with other operations.
_IMAGES = 60


def run() -> Iterator[Comparison]:
    """One comparison at each of the study's two input sizes."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    arrays = photographs()
    pictures = [Image.fromarray(array) for array in arrays]
    for first, side, least in ((256, 224, 2), (440, 384, 3)):
        sees = Input(side, first)
        augment = scheme("rsa", sees)

        def ours(sees: Input = sees, augment: object = augment) -> None:
            assert callable(augment)
            for number in range(_IMAGES):
                sees.tensor([augment(arrays[number % len(arrays)], np.random.default_rng(number))])

        def theirs(first: int = first, side: int = side) -> None:
            for number in range(_IMAGES):
                random.seed(number)
                augmented(pictures[number % len(pictures)], first, side)

        yield compare(
            f"rsa of {_IMAGES} photographs, 512 x 512, to {side} x {side}",
            ours,
            theirs,
            f"at least {least} times as fast as by Pillow",
        )
