"""Which batches become which part, for any parts and batches that are there."""

from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from crawler.catalog import Hyperparameters
from samplers.planning.recipe import Recipe
from samplers.planning.segments import Segment
from samplers.storage.part_layout import parts_to_write
from samplers.storage.progress import GeneratorProgress, Row, Stored

#: Samples of a part: four batches of three.
SIZE, PART = 3, 12


def _segments(*stops: int) -> tuple[Segment, ...]:
    """Segments one after the other, of which every sample is used."""
    recipe = Recipe(
        images=1000, batch_size=SIZE, max_tries=1000, seed=0, steps=None, safety_checker="a@b", prompts=None
    )
    return tuple(
        Segment(recipe=recipe, settings=Hyperparameters(), first=first, stop=stop, images=1000)
        for first, stop in pairwise((0, *stops))
    )


def _stored(number: int, first: int, stop: int) -> Stored:
    rows = tuple(
        Row(
            index=index,
            revision="a",
            status="nan",
            call_size=1,
            memory=None,
            cpu_threads=None,
            image_name=None,
            sha256=None,
            file_size=None,
        )
        for index in range(first, stop)
    )
    return Stored(path=Path(str(number)), number=number, rows=rows)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=3), st.data())
def test_parts_are_the_same_whichever_are_missing_and_in_whichever_order_batches_come(
    lengths: list[int], data: st.DataObject
) -> None:
    segments = _segments(*accumulate(lengths))
    ranges = [
        (first, min(first + PART, segment.stop))
        for segment in segments
        for first in range(segment.first, segment.stop, PART)
    ]
    whole = [_stored(number, first, stop) for number, (first, stop) in enumerate(ranges)]
    lost = data.draw(st.sets(st.sampled_from([part.number for part in whole])))
    progress = GeneratorProgress(parts=tuple(part for part in whole if part.number not in lost))
    missing = [
        _stored(first, first, min(first + SIZE, part.stop))
        for part in whole
        if part.number in lost
        for first in range(part.first, part.stop, SIZE)
    ]
    made = data.draw(st.permutations(missing))
    for count in range(len(made) + 1):
        here = sorted(made[:count], key=lambda batch: batch.first)
        progress = GeneratorProgress(parts=progress.parts, batches=tuple(here))
        for part in parts_to_write(progress, segments):
            rows = [row.index for batch in part.batches for row in batch.rows]
            assert rows == [row.index for row in whole[part.number].rows]
    assert {part.number for part in parts_to_write(progress, segments)} == lost


def test_the_last_part_is_written_when_no_batch_follows() -> None:
    progress = GeneratorProgress(parts=(_stored(0, 0, 12),), batches=(_stored(12, 12, 15), _stored(15, 15, 17)))
    assert parts_to_write(progress, _segments(18)) == []
    (part,) = parts_to_write(progress, _segments(17))
    assert (part.number, part.batches) == (1, progress.batches)


def test_a_batch_after_a_missing_one_waits() -> None:
    progress = GeneratorProgress(batches=(_stored(0, 0, 3), _stored(6, 6, 9), _stored(9, 9, 12)))
    assert parts_to_write(progress, _segments(12)) == []


def test_the_parts_of_a_later_round_follow_those_that_the_earlier_one_has() -> None:
    """The first round ended before its last sample: its number of images was reached."""
    first, second = _segments(24, 40)
    rows = _stored(0, 0, 10)
    images = replace(rows, rows=tuple(replace(row, sha256=str(row.index)) for row in rows.rows))
    segments = (replace(first, images=10), replace(second, images=1000))
    progress = GeneratorProgress(parts=(images,), batches=tuple(_stored(at, at, at + 3) for at in range(24, 36, 3)))
    assert [(part.number, len(part.batches)) for part in parts_to_write(progress, segments)] == [(1, 4)]
