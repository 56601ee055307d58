"""Which batches become which part, for any parts and batches that are there."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from samplers.storage.part_layout import parts_to_write
from samplers.storage.progress import GeneratorProgress, Row, Stored

#: Samples of a part: four batches of three.
SIZE, PART = 3, 12


def _stored(number: int, first: int, stop: int) -> Stored:
    rows = tuple(
        Row(
            index=index,
            revision="a",
            status="nan",
            call_size=1,
            memory=None,
            image_name=None,
            sha256=None,
            file_size=None,
        )
        for index in range(first, stop)
    )
    return Stored(path=Path(str(number)), number=number, rows=rows)


@given(st.integers(1, 70), st.data())
def test_parts_are_the_same_whichever_are_missing_and_in_whichever_order_batches_come(
    samples: int, data: st.DataObject
) -> None:
    whole = [_stored(number, first, min(first + PART, samples)) for number, first in enumerate(range(0, samples, PART))]
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
        for part in parts_to_write(progress, SIZE, complete=count == len(made)):
            rows = [row.index for batch in part.batches for row in batch.rows]
            if part.number < len(whole) - 1 or count == len(made):
                assert rows == [row.index for row in whole[part.number].rows]
    written = {part.number for part in parts_to_write(progress, SIZE, complete=True)}
    assert written == lost


def test_the_last_part_is_written_when_no_batch_follows() -> None:
    progress = GeneratorProgress(parts=(_stored(0, 0, 12),), batches=(_stored(12, 12, 15), _stored(15, 15, 17)))
    assert parts_to_write(progress, SIZE, complete=False) == []
    (part,) = parts_to_write(progress, SIZE, complete=True)
    assert (part.number, part.batches) == (1, progress.batches)


def test_a_batch_after_a_missing_one_waits() -> None:
    progress = GeneratorProgress(batches=(_stored(0, 0, 3), _stored(6, 6, 9), _stored(9, 9, 12)))
    assert parts_to_write(progress, SIZE, complete=False) == []


def test_what_is_sampled_after_a_last_part_that_is_not_full_is_a_part_of_its_own() -> None:
    progress = GeneratorProgress(parts=(_stored(0, 0, 10),), batches=(_stored(10, 10, 12), _stored(12, 12, 15)))
    assert [part.number for part in parts_to_write(progress, SIZE, complete=False)] == [1]
    assert [part.number for part in parts_to_write(progress, SIZE, complete=True)] == [1, 2]
