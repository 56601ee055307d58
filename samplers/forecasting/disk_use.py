"""Files and bytes that sampling adds to a workspace: images, parts of rows, outcomes.

The number of files is exact where no image is rejected, because images, batches and parts are counted by the recipe.
Bytes of PNG files depend on the pictures. Before any is there: 1.5 bytes a pixel, as in the study (0.4 MB for 512 x
512), between half a byte (flat drawings) and the three of a picture that nothing compresses.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from crawler.catalog import CatalogEntry
from samplers.forecasting.pace import Range, lognormal, ratio_of, spread_of
from samplers.options import Store
from samplers.planning.cost import pixels_of, with_settings
from samplers.planning.segments import Segment
from samplers.storage.progress import GeneratorProgress
from samplers.storage.segment_progress import images_left, progress_by_segment

#: Bytes of PNG files for each pixel before any is there: least, usual and most.
_PIXEL_BYTES = Range(0.5, 0.4e6 / 512**2, 3.0)
#: Bytes of a PNG file without pixels, of a part without rows, of a row, and of an outcome, as small runs have them.
_PNG_BYTES, _PART_BYTES, _ROW_BYTES, _OUTCOME_BYTES = 70, 19_000, 150, 600
#: How far these may be off: prompts and settings are longer or shorter, and compress.
_BESIDE = Range(0.7, 1.0, 1.5)


@dataclass(frozen=True)
class Left:
    """What is left of one segment of a generator."""

    segment: Segment
    pixels: int
    """Of an image."""
    images: int
    """To keep, where no image is rejected."""
    made: int
    """Sampled already."""

    @property
    def parts(self) -> int:
        """Part files that it adds, where no image is rejected: batches that are in no part yet are put into them."""
        return self._parts(self.made + self.images)

    @property
    def most_parts(self) -> int:
        """The same where all tries are used."""
        return self._parts(self.segment.stop - self.segment.first)

    def _parts(self, samples: int) -> int:
        rows = self.segment.recipe.rows_a_part
        return math.ceil(samples / rows) - self.made // rows if self.images else 0


@dataclass(frozen=True)
class Work:
    """What is left of one generator."""

    entry: CatalogEntry
    left: tuple[Left, ...]
    """Of its segments."""

    @classmethod
    def of(cls, entry: CatalogEntry, segments: Sequence[Segment], progress: GeneratorProgress) -> "Work":
        """What its rows say."""
        states = progress_by_segment(progress, segments)
        left = [
            Left(
                one.segment,
                pixels_of(with_settings(entry, one.segment.settings)),
                images,
                one.next_index - one.segment.first,
            )
            for one, images in zip(states, images_left(states), strict=True)
        ]
        return cls(entry, tuple(left))

    @property
    def images(self) -> int:
        """To keep."""
        return sum(one.images for one in self.left)


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


def files_left(work: Sequence[Work], store: Store) -> tuple[int, int]:
    """Files that these generators add: where no image is rejected, and where all tries are used."""
    images = sum(one.images for one in work) if store == "files" else 0
    segments = [left for one in work for left in one.left]
    fewest, most = sum(left.parts for left in segments), sum(left.most_parts for left in segments)
    # An outcome each.
    return images + fewest + len(work), images + most + len(work)


def bytes_left(work: Sequence[Work], measured: PixelBytes | None) -> Range:
    """Bytes of the images and their rows; `measured`: of pixels, where any were."""
    images, parts = sum(one.images for one in work), sum(left.parts for one in work for left in one.left)
    beside = _BESIDE * (images * (_PNG_BYTES + _ROW_BYTES) + parts * _PART_BYTES + len(work) * _OUTCOME_BYTES)
    pixels = [float(sum(left.images * left.pixels for left in one.left)) for one in work]
    if measured is not None:
        return lognormal([measured.ratio * each for each in pixels], measured.spread, measured.measured) + beside
    total = sum(pixels)
    return _PIXEL_BYTES * total + beside
