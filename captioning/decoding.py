"""Decoding: from a real image to what is recorded of it, and to the few pixels the captioner looks at."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from captioning.images import ImageFacts, UnusableImageError, read_image
from captioning.skipped import SkipReason
from captioning.sources.source import RealImage
from captioning.target_size import TargetSize

Ticket = TypeVar("Ticket")


@dataclass(frozen=True)
class Job:
    """An image to decode; without a `target_size` only its facts are wanted."""

    image: RealImage
    target_size: TargetSize | None
    content: bytes | None = None
    """Its bytes, where they do not lie in a file of their own: whoever decodes should not have to fetch them."""


@dataclass(frozen=True)
class Decoded:
    """An image that is whole; `view` is what the job's target_size leaves of it: bytes (height, width, 3), RGB."""

    facts: ImageFacts
    view: npt.NDArray[np.uint8] | None


@dataclass(frozen=True)
class Refusal:
    """Why an image gives no prompt."""

    reason: SkipReason
    detail: str


Outcome: TypeAlias = Decoded | Refusal

#: Decodes jobs in their order, each of which comes back with the ticket it came with; a refusal is passed on as it is.
Decode: TypeAlias = Callable[[Iterable[tuple[Ticket, Job | Refusal]]], Iterator[tuple[Ticket, Outcome]]]


def decode(job: Job) -> Outcome:
    """Decode one image."""
    try:
        # An image of which nothing is looked at is decoded to its end all the same, as small as that can be done.
        facts, view = read_image(job.image.path, 1 if job.target_size is None else job.target_size.least, job.content)
        return Decoded(facts, None if job.target_size is None else np.asarray(job.target_size.of(view)))
    except UnusableImageError as error:
        return Refusal(error.reason, error.detail)
    except MemoryError:
        return Refusal("broken", "decoding it takes too much memory")


def decode_here(jobs: Iterable[tuple[Ticket, Job | Refusal]]) -> Iterator[tuple[Ticket, Outcome]]:
    """Decode one after the other in this process, as `captioning.decoders` does in others."""
    for ticket, job in jobs:
        yield ticket, (job if isinstance(job, Refusal) else decode(job))
