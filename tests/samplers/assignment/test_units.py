"""Units: what several processes can make of a generator at the same time."""

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from engines.claims import claims_of
from samplers.assignment.units import UNIT_SECONDS, Unit, batches_a_unit, claims_on, unit_count, units_of
from samplers.planning.cost import Cost
from samplers.planning.segments import Segment
from samplers.storage.progress import GeneratorProgress, Row, Stored
from samplers.storage.segment_progress import progress_by_segment
from tests.samplers.storage.making import RECIPE, segments_for
from workspace.layout import Workspace

#: Six batches of two images; at most ten.
RECIPE = replace(RECIPE, images=12, max_tries=20)
SEGMENTS = segments_for(RECIPE)


def _cost(batches: float) -> Cost:
    """A cost of which so many batches are a unit."""
    return Cost(load=1.0, image=UNIT_SECONDS / (2 * batches))


def _row(index: int, kept: bool) -> Row:
    return Row(
        index=index,
        revision="a" * 40,
        status="ok" if kept else "nan",
        call_size=2,
        memory=None,
        cpu_threads=1,
        image_name=f"{index:08}.png" if kept else None,
        sha256=f"{index:064x}" if kept else None,
        file_size=1 if kept else None,
    )


def _progress(batches: set[int], rejected: set[int]) -> GeneratorProgress:
    return GeneratorProgress(
        batches=tuple(
            Stored(
                path=Path(f"{number}"),
                number=2 * number,
                rows=(_row(first, first not in rejected), _row(first + 1, True)),
            )
            for number in sorted(batches)
            for first in (2 * number,)
        )
    )


def _units(batches: set[int], cost: Cost, rejected: set[int] = frozenset()) -> list[Unit]:  # type: ignore[assignment]
    return units_of(progress_by_segment(_progress(batches, rejected), SEGMENTS), cost)


def test_the_images_that_are_missing_are_divided_on_a_fixed_grid() -> None:
    assert [(unit.start, unit.ranges) for unit in _units(set(), _cost(2))] == [
        (0, ((0, 4),)),
        (4, ((4, 8),)),
        (8, ((8, 12),)),
    ]
    assert unit_count(SEGMENTS[0], _cost(2)) == 3


def test_what_others_have_made_is_left_out_and_gaps_are_units() -> None:
    # Of the second unit a batch is there, and the third one as a whole.
    assert [(unit.start, unit.ranges) for unit in _units({2, 4, 5}, _cost(2))] == [(0, ((0, 4),)), (4, ((6, 8),))]


def test_rejected_images_make_further_units_once_they_are_known() -> None:
    assert [unit.ranges for unit in _units({0, 1, 2, 3, 4, 5}, _cost(1), rejected={0, 2})] == [((12, 14),)]
    # One image is missing: the last batch may end before its end, so it is for one process alone.
    assert _units({0, 1, 2, 3, 4, 5}, _cost(1), rejected={0}) == []


def test_a_generator_of_one_unit_is_not_divided() -> None:
    assert _units(set(), _cost(6)) == []
    assert _units(set(), Cost(load=1.0, image=0.0)) == []
    assert unit_count(SEGMENTS[0], _cost(6)) == 1
    assert batches_a_unit(_cost(0.01), 2) == 1


@given(made=st.sets(st.integers(0, 9)), rejected=st.sets(st.integers(0, 9)), batches=st.integers(1, 7))
def test_units_are_whole_batches_without_rows_that_are_needed_whatever_is_rejected(
    made: set[int], rejected: set[int], batches: int
) -> None:
    first_of = {2 * number for number in rejected}
    progress = _progress(made, first_of)
    (state,) = progress_by_segment(progress, SEGMENTS)
    samples = [index for unit in units_of([state], _cost(batches)) for one in unit.ranges for index in range(*one)]
    assert len(set(samples)) == len(samples)
    assert {index // 2 for index in samples}.isdisjoint(made)
    assert {index ^ 1 for index in samples} == set(samples)
    # A run that keeps every image from now on, and so needs the fewest, makes all of them.
    rows = {row.index: row.sha256 is not None for row in progress.rows}
    kept, last = sum(rows.values()), max(rows, default=-1)
    needed = {index for index in range(last + 1) if index not in rows}
    kept += len(needed)
    for index in range(last + 1, _stop(SEGMENTS)):
        if kept >= RECIPE.images:
            break
        needed.add(index)
        kept += 1
    assert set(samples) <= needed


def _stop(segments: tuple[Segment, ...]) -> int:
    return segments[-1].stop


def test_the_claims_on_a_generator_are_its_own_and_those_of_its_units(tmp_path: Path) -> None:
    with claims_of(Workspace.open(tmp_path), "sample") as claims:
        unit = _units(set(), _cost(2))[1]
        with claims.claim("org/name"), claims.claim(unit.claim("org/name")), claims.claim("org/name-2"):
            assert sorted(claims_on(claims, "org/name")) == ["org--name", "org--name~4"]
