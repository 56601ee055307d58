"""What simple statistics of pixels tell, beside the file facts: an image's mean colour, a grey thumbnail of 8 × 8
pixels, and its number of grey levels. A detector of traces needs none of them.

Of large datasets, `PICTURES` images of each label are looked at, in processes with limits (`manifests.pictures`).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
import numpy.typing as npt

from manifests.pictures.readers import PictureReaders, Request
from workspace.progress import task

#: Images of each label that are looked at, at most: some minutes on one core for photographs of 12 megapixels.
PICTURES = 1_000

_SIDE = 8

#: Weights of red, green and blue, as Pillow's mode L has them.
_LUMINANCE = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Pixels:
    """Statistics of one image: `thumbnail`, RGB of `_SIDE` × `_SIDE` pixels, each the mean of its part of the image,
    and the number of different values of its luminance."""

    thumbnail: npt.NDArray[np.float64]
    levels: int

    @property
    def grey(self) -> npt.NDArray[np.float64]:
        """The thumbnail's luminance (ITU-R 601), 0 to 255."""
        return np.asarray(self.thumbnail @ _LUMINANCE)

    @property
    def mean_colour(self) -> npt.NDArray[np.float64]:
        """Red, green and blue, 0 to 255."""
        return np.asarray(self.thumbnail.mean(axis=(0, 1)))


def look_at(read: Callable[[str], bytes], paths: Sequence[str]) -> dict[str, Pixels]:
    """The statistics of the images that `read` gives for these paths; without those that cannot be read."""
    with PictureReaders() as readers, task("looking at pixels", total=len(paths)) as progress:
        seen: dict[str, Pixels] = {}
        for path, picture in zip(paths, readers.read(_questions(read, paths)), strict=True):
            progress.advance()
            if picture is not None:
                seen[path] = Pixels(picture.pixels.astype(float), picture.levels)
    return seen


def _questions(read: Callable[[str], bytes], paths: Sequence[str]) -> Iterator[Request | None]:
    for path in paths:
        question = None
        with suppress(OSError):
            question = Request(read(path), PurePath(path).suffix, _SIDE, stretch=True)
        yield question


def columns_of(pixels: Sequence[Pixels]) -> dict[str, npt.NDArray[np.float64]]:
    """The numbers that trees are given for each statistic: float64 of shape (images, numbers)."""
    return {
        "mean colour": np.array([each.mean_colour for each in pixels]),
        "8 × 8 grey thumbnail": np.array([each.grey.ravel() for each in pixels]),
        "grey levels": np.array([[float(each.levels)] for each in pixels]),
    }
