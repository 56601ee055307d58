"""Decoding: from a real image to what is recorded of it, and to the pixels that the captioner looks at."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from captioning.images import ImageFacts, UnusableImageError, read_image
from captioning.skipped import SkipReason
from captioning.sources.source import RealImage
from captioning.target_size import TargetSize

Key = TypeVar("Key")


@dataclass(frozen=True)
class Job:
    """An image to decode; without a `target_size` only its facts are returned."""

    image: RealImage
    target_size: TargetSize | None
    content: bytes | None = None
    """Its bytes, unless it is a file of its own: the decoding process has no network and no token."""


@dataclass(frozen=True)
class Decoded:
    """A decoded image; `pixels`, if the job has a `target_size`: RGB bytes of shape (height, width, 3) at that size."""

    facts: ImageFacts
    pixels: npt.NDArray[np.uint8] | None


@dataclass(frozen=True)
class Unusable:
    """Why an image gives no prompt."""

    reason: SkipReason
    detail: str


DecodeResult: TypeAlias = Decoded | Unusable

#: Decodes jobs in their order. Each has a key of the caller's, which is returned with the result. An `Unusable` in
#: place of a job is passed on, so that results stay in order.
DecodeAll: TypeAlias = Callable[[Iterable[tuple[Key, Job | Unusable]]], Iterator[tuple[Key, DecodeResult]]]


def decode(job: Job) -> DecodeResult:
    """Decode one image."""
    try:
        # Without a target size the image is still decoded completely, at the smallest size possible.
        min_side = 1 if job.target_size is None else job.target_size.min_jpeg_side
        facts, image = read_image(job.image.path, min_side, job.content)
        return Decoded(facts, None if job.target_size is None else np.asarray(job.target_size.resize(image)))
    except UnusableImageError as error:
        return Unusable(error.reason, error.detail)
    except MemoryError:
        return Unusable("broken", "decoding it takes too much memory")


def decode_in_process(jobs: Iterable[tuple[Key, Job | Unusable]]) -> Iterator[tuple[Key, DecodeResult]]:
    """Decode one image after the other in this process; `captioning.decoders` does it in several others."""
    for key, job in jobs:
        yield key, (job if isinstance(job, Unusable) else decode(job))
