"""Which batches become which part.

A part has the rows of `Recipe.batches_a_part` batches, counted from the first sample of a segment, and the last part of
a segment those of what is left. The parts of all segments are numbered on. So the parts of a generator are the same
files however often it was interrupted, and the batches that were made again for one that is damaged or missing become
the part of that number.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from samplers.planning.segments import Segment
from samplers.storage.progress import GeneratorProgress, Stored
from samplers.storage.segment_progress import SegmentProgress, progress_by_segment


@dataclass(frozen=True)
class PartToWrite:
    """A part whose batches are complete."""

    number: int
    batches: tuple[Stored, ...]


def parts_to_write(progress: GeneratorProgress, segments: Sequence[Segment]) -> list[PartToWrite]:
    """The parts that can be written, in order."""
    parts: list[PartToWrite] = []
    number = 0
    for one in progress_by_segment(progress, segments):
        parts += _parts_of(one, progress, number)
        if not one.is_complete:
            # How many parts it will have is not known, and no later segment has rows.
            break
        number += math.ceil((one.next_index - one.segment.first) / one.segment.recipe.rows_a_part)
    return parts


def _parts_of(one: SegmentProgress, progress: GeneratorProgress, number: int) -> Iterator[PartToWrite]:
    """Those of one segment, whose first part has this number."""
    first, rows = one.segment.first, one.segment.recipe.rows_a_part
    batches = [batch for batch in progress.batches if first <= batch.first < one.segment.stop]
    for place, group in groupby(batches, key=lambda batch: (batch.first - first) // rows):
        found = tuple(group)
        start, stop = first + place * rows, min(first + (place + 1) * rows, one.segment.stop)
        if one.is_complete:
            stop = min(stop, one.next_index)
        ends = [start, *(batch.stop for batch in found)]
        if [batch.first for batch in found] == ends[:-1] and ends[-1] == stop:
            yield PartToWrite(number + place, found)


def part_start(segments: Sequence[Segment], index: int) -> int:
    """The index of the first sample of the part that has this one."""
    segment = next(one for one in segments if one.first <= index < one.stop)
    return index - (index - segment.first) % segment.recipe.rows_a_part
