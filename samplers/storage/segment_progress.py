"""How far each segment of a generator is, from its rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from samplers.planning.segments import Segment
from samplers.storage.progress import GeneratorProgress, Row


@dataclass(frozen=True, kw_only=True)
class SegmentProgress:
    """How far one segment is."""

    segment: Segment
    next_index: int
    """The first sample after its rows."""
    gaps: tuple[tuple[int, int], ...]
    """Its samples [first, stop) before `next_index` without rows."""
    kept: frozenset[str]
    """The sha256 of every image kept before `next_index`, of the segments before too."""
    missing: int
    """Images that it should still give; 0 or less: none."""
    last: Row | None
    """Its last row."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing of it is left to sample: the number of images is reached, or all its samples are used."""
        return not self.gaps and (self.missing <= 0 or self.next_index >= self.segment.stop)

    @property
    def images(self) -> int:
        """Distinct images, of all segments so far, at which it is complete."""
        return len(self.kept) + self.missing


def progress_by_segment(progress: GeneratorProgress, segments: Sequence[Segment]) -> list[SegmentProgress]:
    """How far each segment is. Of equal images the one with the lowest index counts."""
    rows = iter(progress.rows)
    row = next(rows, None)
    seen: set[str] = set()
    kept = [0] * len(segments)
    found: list[SegmentProgress] = []
    for number, segment in enumerate(segments):
        at, gaps, last = segment.first, [], None
        while row is not None and row.index < segment.stop:
            if row.index > at:
                gaps.append((at, row.index))
            at, last = max(at, row.index + 1), row
            if row.sha256 is not None and row.sha256 not in seen:
                seen.add(row.sha256)
                kept[number] += 1
            row = next(rows, None)
        counted = sum(
            count for other, count in zip(segments[: number + 1], kept, strict=False) if other.counts_with(segment)
        )
        found.append(
            SegmentProgress(
                segment=segment,
                next_index=at,
                gaps=tuple(gaps),
                kept=frozenset(seen),
                missing=segment.images - counted,
                last=last,
            )
        )
    return found


def is_complete(progress: GeneratorProgress, segments: Sequence[Segment]) -> bool:
    """Whether nothing of a generator is left to sample."""
    return all(one.is_complete for one in progress_by_segment(progress, segments))


def is_finished(progress: GeneratorProgress, segments: Sequence[Segment]) -> bool:
    """Whether nothing of a generator is left to do: complete, and all rows are in parts."""
    return not progress.batches and not progress.damaged and is_complete(progress, segments)


def images_left(states: Sequence[SegmentProgress]) -> list[int]:
    """Images that each segment of a generator is still to give, in order, where no image is rejected."""
    left: list[int] = []
    for one in states:
        before = sum(
            images for other, images in zip(states, left, strict=False) if other.segment.counts_with(one.segment)
        )
        left.append(min(max(0, one.missing - before), one.segment.stop - one.next_index))
    return left
