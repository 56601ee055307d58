"""Which samples of a generator are made: images that are damaged, gaps in the rows, and what comes after the last
row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from samplers.planning.segments import Segment
from samplers.sample import Memory, Sample
from samplers.storage.progress import GeneratorProgress, Row
from samplers.storage.segment_progress import progress_by_segment


@dataclass(frozen=True, kw_only=True)
class MissingRange:
    """Samples [first, stop) of a segment to make, in one go."""

    segment: Segment
    first: int
    stop: int
    images: int | None = None
    """Distinct images at which the samples end, `kept` included; None: all of them are made."""
    kept: frozenset[str] = frozenset()
    """The sha256 of every image kept before `first`; empty where all samples are made."""
    call_size: int
    """Images of one pipeline call."""
    memory: Memory | None
    """How memory is saved; None: not at all."""
    cpu_threads: int | None = None
    """Threads of a CPU that compute; None: as many as the machine says."""
    damaged: frozenset[int] = frozenset()
    """Samples with a row whose image file is made again; empty: samples without rows."""


def next_range(
    progress: GeneratorProgress, damaged: frozenset[int], segments: Sequence[Segment]
) -> MissingRange | None:
    """The samples to make next; None: the generator is complete.

    What comes after the last row of a segment is last: how many images are missing is known when nothing is missing
    before.
    """
    if damaged:
        segment = next(one for one in segments if one.first <= min(damaged) < one.stop)
        return _damaged_batch(progress, damaged, segment)
    for one in progress_by_segment(progress, segments):
        if one.is_complete:
            continue
        last = [row for row in progress.rows if one.segment.first <= row.index < one.segment.stop]
        if one.gaps:
            return range_of(one.segment, *one.gaps[0], last)
        after = range_of(one.segment, one.next_index, one.segment.stop, last)
        return replace(after, images=one.images, kept=one.kept)
    return None


def range_of(segment: Segment, first: int, stop: int, last: Sequence[Row | Sample]) -> MissingRange:
    """All samples [first, stop) of a segment, made as the last rows were: as many images of one call, and memory saved
    likewise."""
    size = segment.recipe.batch_size
    return MissingRange(
        segment=segment,
        first=first,
        stop=stop,
        call_size=max((row.call_size for row in last[-size:] if row.call_size is not None), default=size),
        memory=last[-1].memory if last else None,
    )


def _damaged_batch(progress: GeneratorProgress, damaged: frozenset[int], segment: Segment) -> MissingRange:
    """The batch of the first damaged image, made as it was: with as many images of one call, memory saved likewise,
    and by as many threads."""
    start, batch_size = segment.batch_start(min(damaged)), segment.recipe.batch_size
    batch = [row for row in progress.rows if start <= row.index < start + batch_size]
    return MissingRange(
        segment=segment,
        first=batch[0].index,
        stop=batch[-1].index + 1,
        call_size=max((row.call_size for row in batch if row.call_size is not None), default=batch_size),
        memory=batch[0].memory,
        cpu_threads=batch[0].cpu_threads,
        damaged=damaged & {row.index for row in batch},
    )
