"""Files and bytes that sampling adds to a workspace: images, parts of rows, outcomes.

The number of files is exact where no image is rejected, because images, batches and parts are counted by the recipe.
Bytes of PNG files depend on the pictures. Before any is there: 1.5 bytes a pixel, as in the study (0.4 MB for 512 x
512), between half a byte (flat drawings) and the three of a picture that nothing compresses.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from crawler.catalog import CatalogEntry
from samplers.cost import pixels_of
from samplers.options import SampleOptions
from samplers.pace import Range, lognormal, ratio_of, spread_of
from samplers.plan import BATCHES_A_PART

#: Bytes of PNG files for each pixel before any is there: least, usual and most.
_PIXEL_BYTES = Range(0.5, 0.4e6 / 512**2, 3.0)
#: Bytes of a PNG file without pixels, of a part without rows, of a row, and of an outcome, as small runs have them.
_PNG_BYTES, _PART_BYTES, _ROW_BYTES, _OUTCOME_BYTES = 70, 17_500, 150, 600


@dataclass(frozen=True)
class Work:
    """What is left of one generator."""

    entry: CatalogEntry
    images: int
    """To keep."""
    tries: int = 0
    """Sampled already, rejected ones included."""


@dataclass(frozen=True)
class PixelBytes:
    """Bytes of PNG files for each pixel, as measured."""

    ratio: float
    spread: float
    """As in `pace`."""
    measured: int
    """Generators that it rests on."""

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, float]]) -> "PixelBytes | None":
        """From pairs of bytes and pixels, one for each generator; None without pairs."""
        ratio = ratio_of(pairs)
        return cls(ratio, spread_of((size, ratio * pixels) for size, pixels in pairs), len(pairs)) if pairs else None


def files_left(work: Iterable[Work], options: SampleOptions) -> tuple[int, int]:
    """Files that these generators add: where no image is rejected, and where all tries are used."""
    fewest = most = 0
    for one in work:
        images = one.images if options.store == "files" else 0
        now = one.tries // _samples_a_part(options)
        fewest += images + 1 + _parts(one.tries + one.images, options) - now
        most += images + 1 + _parts(max(options.tries, one.tries + one.images), options) - now
    return fewest, most


def bytes_left(work: Sequence[Work], options: SampleOptions, measured: PixelBytes | None) -> Range:
    """Bytes of the images and their rows; `measured`: of pixels, where any were."""
    images = sum(one.images for one in work)
    parts = sum(_parts(one.tries + one.images, options) - one.tries // _samples_a_part(options) for one in work)
    beside = images * (_PNG_BYTES + _ROW_BYTES) + parts * _PART_BYTES + len(work) * _OUTCOME_BYTES
    pixels = [float(one.images * pixels_of(one.entry)) for one in work]
    if measured is not None:
        return lognormal([measured.ratio * each for each in pixels], measured.spread, measured.measured) + beside
    total = sum(pixels)
    return Range(total * _PIXEL_BYTES.low, total * _PIXEL_BYTES.middle, total * _PIXEL_BYTES.high) + beside


def _parts(samples: int, options: SampleOptions) -> int:
    return math.ceil(samples / _samples_a_part(options))


def _samples_a_part(options: SampleOptions) -> int:
    return options.images_a_batch * BATCHES_A_PART
