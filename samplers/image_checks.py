"""Checks of an image's pixels: the child makes them before it writes, the manifest when it reads."""

from typing import Any

import numpy.typing as npt


def is_blank(picture: npt.NDArray[Any]) -> bool:
    """Whether every pixel of `picture`, (height, width) or (height, width, channels), has the same value."""
    return bool((picture == picture[0, 0]).all())
