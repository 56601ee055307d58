"""Who is given room, and what has to go for it: two supervisors' sides, without downloads in between."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from samplers.weights.disk_space import Room
from samplers.weights.fetching import FetchError
from samplers.weights.pool import Pool
from samplers.weights.scratch import Slot

BLOCK = 4096


class Side:
    """One supervisor's room, and its pool."""

    def __init__(self, weights: Path, blocks: int) -> None:
        self.slot = Slot(weights)
        self.pool = Pool(self.slot)
        self.room = Room(self.slot, self.pool, blocks * BLOCK)

    def holds(self, word: str, waited_for: bool = True) -> bool:
        """Ask for a generator that has a content of a block for each letter; when there is room, they arrive."""
        held = self.room.hold(word, dict.fromkeys(word, BLOCK), waited_for)
        if held:
            for letter in word:
                self.pool.path_of(letter).write_bytes(bytes(BLOCK))
        return held

    def expects(self, *words: str) -> None:
        self.room.expect({word: word for word in words})


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[tuple[Side, Side]]:
    """Of a disk of six blocks."""
    sides = Side(tmp_path, 6), Side(tmp_path, 6)
    yield sides
    for side in sides:
        side.slot.__exit__()


def _pool(side: Side) -> str:
    return "".join(sorted(side.pool.contents()))


def test_what_anybody_still_needs_stays_and_the_rest_goes_when_a_generator_is_done(sides: tuple[Side, Side]) -> None:
    one, other = sides
    one.expects("abcd", "aef")
    other.expects("bx", "by")
    assert one.holds("abcd")
    one.room.release("abcd")
    assert _pool(one) == "ab"
    assert other.holds("bx")
    other.room.release("bx")
    assert _pool(one) == "ab"
    assert other.holds("by")
    other.room.release("by")
    assert _pool(one) == "a"


def test_what_is_needed_last_by_all_goes_first(sides: tuple[Side, Side]) -> None:
    one, other = sides
    one.expects("abcd", "uvw", "a", "b", "c", "d")
    other.expects("d")
    assert one.holds("abcd")
    one.room.release("abcd")
    assert one.holds("uvw")
    # One content had to go: the last one that this side needs is the next of the other's.
    assert _pool(one) == "abduvw"


def test_what_is_fetched_ahead_takes_nothing_that_is_needed_as_soon(sides: tuple[Side, Side]) -> None:
    one, other = sides
    one.expects("abcd", "uvw")
    other.expects("abcd")
    assert one.holds("abcd")
    one.room.release("abcd")
    assert not one.holds("uvw", waited_for=False)
    assert _pool(one) == "abcd"
    assert one.holds("uvw", waited_for=True)
    assert len(_pool(one)) == 6


def test_nothing_that_is_held_goes(sides: tuple[Side, Side]) -> None:
    one, other = sides
    assert one.holds("abcd")
    assert not other.holds("xyz")
    assert _pool(one) == "abcd"
    one.room.release("abcd")
    assert other.holds("xyz")


@pytest.mark.parametrize("waited_for", [True, False])
def test_who_waits_for_much_is_not_passed_over_by_who_wants_little(sides: tuple[Side, Side], waited_for: bool) -> None:
    one, other = sides
    assert one.holds("ab")
    assert one.holds("cd", waited_for=False)
    assert not other.holds("uvwxyz", waited_for=True)
    one.room.release("ab")
    assert not one.holds("ef", waited_for)
    one.room.release("cd")
    assert not one.holds("ef", waited_for)
    assert other.holds("uvwxyz", waited_for=True)
    other.room.release("uvwxyz")
    assert one.holds("ef", waited_for)


def test_a_number_goes_with_who_drew_it(sides: tuple[Side, Side]) -> None:
    one, other = sides
    assert one.holds("ab")
    assert not other.holds("uvwxyz")
    assert not one.holds("cd")
    other.slot.__exit__()
    assert one.holds("cd")


def test_what_cannot_fit_beside_what_is_kept_is_refused_and_waited_for_no_longer(sides: tuple[Side, Side]) -> None:
    one, other = sides
    assert one.room.keep("checker", {"k": BLOCK})
    with pytest.raises(FetchError, match="more than --max-disk"):
        one.holds("abcdef", waited_for=False)
    with pytest.raises(FetchError, match="what others keep"):
        other.holds("abcdef")
    assert one.holds("abc", waited_for=False)


def test_a_content_that_two_hold_counts_once(sides: tuple[Side, Side]) -> None:
    one, other = sides
    assert one.holds("abcde")
    assert other.holds("abcdef")
