"""Units: pieces of a generator that several processes can sample at the same time.

However many images will be rejected, some samples are certain to be needed: every gap in the rows, and after the last
row at least as many as images are missing. They are divided into units of whole batches on a grid that is fixed by plan
and estimated cost, so that all processes mean the same samples by the same name. What is left, the last batch and what
replaces rejected images, is for one process: how much it is depends on all that was made before.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from engines.claims import Claims
from samplers.planning.cost import Cost
from samplers.planning.segments import Segment
from samplers.storage.segment_progress import SegmentProgress
from workspace.layout import generator_folder

#: Seconds of the nominal device for one unit: long beside the file operations of a claim and the loading of most
#: generators, short beside a run of days.
UNIT_SECONDS = 120.0


@dataclass(frozen=True)
class Unit:
    """Samples of one segment that one process makes: those without rows in a cell of the grid."""

    segment: Segment
    start: int
    """The first sample of the cell: with the generator, the name of the unit."""
    ranges: tuple[tuple[int, int], ...]
    """The samples [first, stop) to make, whole batches."""

    def claim(self, generator: str) -> str:
        """The name of the claim of this unit."""
        return f"{generator}~{self.start}"


def units_of(states: Sequence[SegmentProgress], cost: Cost) -> list[Unit]:
    """The units that can be made now, in order; `states` of a generator's segments. None of a generator of one unit.

    Only of the first segment that is not complete: what a later one needs depends on it.
    """
    state = next((one for one in states if not one.is_complete), None)
    if state is None:
        return []
    segment = state.segment
    size = segment.recipe.batch_size
    cell = size * batches_a_unit(cost, size)
    if segment.first + cell >= min(segment.stop, segment.first + segment.images):
        return []
    units: dict[int, list[tuple[int, int]]] = {}
    for first, stop in _certain(state):
        first += -(first - segment.first) % size
        if stop != segment.stop:
            stop -= (stop - segment.first) % size
        while first < stop:
            start = first - (first - segment.first) % cell
            units.setdefault(start, []).append((first, min(stop, start + cell)))
            first = start + cell
    return [Unit(segment, start, tuple(ranges)) for start, ranges in sorted(units.items())]


def unit_count(segment: Segment, cost: Cost) -> int:
    """Units of a segment of which nothing is made yet; 1 where it is not divided."""
    cell = segment.recipe.batch_size * batches_a_unit(cost, segment.recipe.batch_size)
    return max(1, -(-min(segment.images, segment.stop - segment.first) // cell))


def claims_on(claims: Claims, generator: str) -> list[str]:
    """The claims of a generator and of its units; also of processes that ended."""
    folder = generator_folder(generator)
    return [claim for claim in claims.taken() if claim.partition("~")[0] == folder]


def batches_a_unit(cost: Cost, batch_size: int) -> int:
    """Batches of one unit."""
    return max(1, round(UNIT_SECONDS / (cost.image * batch_size))) if cost.image else 1 << 30


def _certain(state: SegmentProgress) -> list[tuple[int, int]]:
    """The samples [first, stop) that are made whatever the others give."""
    in_gaps = sum(stop - first for first, stop in state.gaps)
    after = min(state.next_index + max(0, state.missing - in_gaps), state.segment.stop)
    return [*state.gaps, (state.next_index, after)]
