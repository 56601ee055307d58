"""Decoding: from a real image to what is recorded of it, and to the pixels that the captioner looks at."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, BinaryIO, TypeAlias, TypeVar

from captioning.images import ImageFacts, UnusableImageError, decode_image, open_image
from captioning.sources.source import RealImage
from captioning.target_size import TargetSize

if TYPE_CHECKING:  # a process that decodes needs no Arrow, and numpy for pixels only
    import numpy as np
    import numpy.typing as npt

    from captioning.skipped import SkipReason

Key = TypeVar("Key")


@dataclass(frozen=True)
class Job:
    """An image to decode; without a `target_size` only its facts are returned."""

    image: RealImage
    target_size: TargetSize | None
    content: bytes | None = None
    """Its bytes, unless it is a file of its own: the decoding process has no network, no token and no path."""


@dataclass(frozen=True)
class Decoded:
    """A decoded image; `pixels`, if the job has a `target_size`: RGB bytes of shape (height, width, 3) at that size."""

    facts: ImageFacts
    pixels: "npt.NDArray[np.uint8] | None"


@dataclass(frozen=True)
class Unusable:
    """Why an image gives no prompt."""

    reason: "SkipReason"
    detail: str


DecodeResult: TypeAlias = Decoded | Unusable

#: Decodes jobs in their order. Each has a key of the caller's, which is returned with the result. An `Unusable` in
#: place of a job is passed on, so that results stay in order.
DecodeAll: TypeAlias = Callable[[Iterable[tuple[Key, Job | Unusable]]], Iterator[tuple[Key, DecodeResult]]]


def decode(job: Job) -> DecodeResult:
    """Decode one image."""
    try:
        if job.content is not None:
            return decode_file(BytesIO(job.content), PurePath(job.image.path).suffix, job.target_size)
        with open_image(Path(job.image.path), job.image.within) as file:
            return decode_file(file, PurePath(job.image.path).suffix, job.target_size)
    except UnusableImageError as error:
        return Unusable(error.reason, error.detail)


def decode_file(file: BinaryIO, suffix: str, target_size: TargetSize | None) -> DecodeResult:
    """Decode an open image, whose name has this suffix."""
    # Without a target size the image is still decoded completely, at the smallest size possible.
    min_side = 1 if target_size is None else target_size.min_jpeg_side
    try:
        facts, image = decode_image(file, suffix, min_side)
        if target_size is None:
            return Decoded(facts, None)
        import numpy as np

        return Decoded(facts, np.asarray(target_size.resize(image)))
    except UnusableImageError as error:
        return Unusable(error.reason, error.detail)
    except MemoryError:
        return Unusable("broken", "decoding it takes too much memory")


def decode_in_process(jobs: Iterable[tuple[Key, Job | Unusable]]) -> Iterator[tuple[Key, DecodeResult]]:
    """Decode one image after the other in this process; `captioning.decoders` does it in several others."""
    for key, job in jobs:
        yield key, (job if isinstance(job, Unusable) else decode(job))
