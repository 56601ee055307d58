"""Which batches become which part.

A part has the rows of `BATCHES_A_PART` batches, counted from the first sample, and the last part those of what is left.
So the parts of a generator are the same files however often it was interrupted. A part that is damaged or missing
leaves a hole between its neighbours; the batches that were made again for it become the part of that number.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from samplers.plan import BATCHES_A_PART
from samplers.storage.progress import GeneratorProgress, Stored


@dataclass(frozen=True)
class PartToWrite:
    """A part whose batches are complete."""

    number: int
    batches: tuple[Stored, ...]


@dataclass(frozen=True)
class _Hole:
    """Where batches are that are in no part."""

    number: int
    last_number: int | None
    """Of the parts that are missing; None: after all parts."""
    first: int
    stop: int | None
    """The samples [first, stop); None: all that follow."""


def parts_to_write(progress: GeneratorProgress, batch_size: int, complete: bool) -> list[PartToWrite]:
    """The parts that can be written, in order; `complete`: no batch follows the last one."""
    return [part for hole in _holes(progress) for part in _parts_in(hole, progress, batch_size, complete)]


def _holes(progress: GeneratorProgress) -> Iterator[_Hole]:
    number, at = 0, 0
    for part in progress.parts:
        if part.first > at and part.number > number:
            yield _Hole(number, part.number - 1, at, part.first)
        number, at = part.number + 1, part.stop
    yield _Hole(number, None, at, None)


def _parts_in(hole: _Hole, progress: GeneratorProgress, batch_size: int, complete: bool) -> Iterator[PartToWrite]:
    number, at = hole.number, hole.first
    waiting: list[Stored] = []
    for batch in progress.batches:
        if batch.first != at or (hole.stop is not None and batch.stop > hole.stop):
            if batch.first > at:
                return
            continue
        waiting.append(batch)
        at = batch.stop
        ends = at == hole.stop or (at % (batch_size * BATCHES_A_PART) == 0 and number != hole.last_number)
        if ends:
            yield PartToWrite(number, tuple(waiting))
            number, waiting = number + 1, []
    if waiting and hole.stop is None and complete:
        yield PartToWrite(number, tuple(waiting))
