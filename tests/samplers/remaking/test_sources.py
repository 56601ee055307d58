"""In calls of which size a row was made, as far as the rows of its batch tell."""

import pytest

from samplers.planning.plan import PlannedSample
from samplers.remaking.sources import call_size_of


def _batch(length: int, first: int = 8) -> list[PlannedSample]:
    return [PlannedSample(index=first + number, seed=number) for number in range(length)]


def _rows(sizes: dict[int, int | None]) -> list[dict[str, int | None]]:
    return [{"index": 8 + place, "call_size": size} for place, size in sizes.items()]


@pytest.mark.parametrize(
    ("sizes", "length", "expected"),
    [
        ({}, 8, 8),
        ({3: None}, 8, 8),
        ({3: 8}, 8, 8),
        ({3: 4}, 8, 4),
        ({7: 1}, 8, 1),
        # The last batch is shorter, and so is the last call of a batch.
        ({0: 5}, 5, 8),
        ({4: 1}, 5, 4),
        ({0: 4, 4: 1}, 5, 4),
        ({0: 2, 4: 1}, 5, 2),
        # A call of three is the end of a batch of seven in calls of four, unless a row says otherwise.
        ({5: 3}, 7, 4),
        ({0: 3, 5: 3}, 7, 3),
    ],
)
def test_the_calls_are_those_that_give_every_row_its_size(
    sizes: dict[int, int | None], length: int, expected: int
) -> None:
    assert call_size_of(_rows(sizes), _batch(length), 8) == expected


def test_every_size_of_a_call_is_found_from_the_rows_it_gives() -> None:
    for length in range(1, 9):
        for size in (8, 4, 2, 1, 3):
            sizes: dict[int, int | None] = {
                place: min(size, length - (place - place % size)) for place in range(length)
            }
            found = call_size_of(_rows(sizes), _batch(length), 8)
            # Where a batch is no longer than a call, several sizes give the same calls.
            assert sizes == {place: min(found, length - (place - place % found)) for place in range(length)}
