"""Which supervisor gets space, and what is removed for it: two supervisors, without downloads."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from samplers.weights.disk_space import DiskSpace
from samplers.weights.fetching import FetchError
from samplers.weights.pool import ContentPool
from samplers.weights.process_folder import ProcessFolder

BLOCK = 4096


class Supervisor:
    """One supervisor's disk space, and its pool."""

    def __init__(self, weights: Path, blocks: int) -> None:
        self.folder = ProcessFolder(weights)
        self.pool = ContentPool(self.folder)
        self.space = DiskSpace(self.folder, self.pool, blocks * BLOCK)

    def reserve(self, word: str, urgent: bool = True) -> bool:
        """Reserve space for a generator with a content of one block for each letter; if possible, write them."""
        reserved = self.space.reserve(word, dict.fromkeys(word, BLOCK), urgent)
        if reserved:
            for letter in word:
                self.pool.path_of(letter).write_bytes(bytes(BLOCK))
        return reserved

    def announce(self, *words: str) -> None:
        self.space.announce({word: word for word in words})


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[tuple[Supervisor, Supervisor]]:
    """With a limit of six blocks."""
    sides = Supervisor(tmp_path, 6), Supervisor(tmp_path, 6)
    yield sides
    for side in sides:
        side.folder.__exit__()


def _pool(side: Supervisor) -> str:
    return "".join(sorted(side.pool.contents()))


def test_contents_needed_later_are_kept_and_others_removed_when_a_generator_is_done(
    sides: tuple[Supervisor, Supervisor],
) -> None:
    one, other = sides
    one.announce("abcd", "aef")
    other.announce("bx", "by")
    assert one.reserve("abcd")
    one.space.release("abcd")
    assert _pool(one) == "ab"
    assert other.reserve("bx")
    other.space.release("bx")
    assert _pool(one) == "ab"
    assert other.reserve("by")
    other.space.release("by")
    assert _pool(one) == "a"


def test_the_content_needed_last_is_removed_first(sides: tuple[Supervisor, Supervisor]) -> None:
    one, other = sides
    one.announce("abcd", "uvw", "a", "b", "c", "d")
    other.announce("d")
    assert one.reserve("abcd")
    one.space.release("abcd")
    assert one.reserve("uvw")
    # One content had to be removed: not d, which this supervisor needs last and the other one next.
    assert _pool(one) == "abduvw"


def test_a_download_ahead_removes_nothing_that_is_needed_as_soon(sides: tuple[Supervisor, Supervisor]) -> None:
    one, other = sides
    one.announce("abcd", "uvw")
    other.announce("abcd")
    assert one.reserve("abcd")
    one.space.release("abcd")
    assert not one.reserve("uvw", urgent=False)
    assert _pool(one) == "abcd"
    assert one.reserve("uvw", urgent=True)
    assert len(_pool(one)) == 6


def test_reserved_contents_are_not_removed(sides: tuple[Supervisor, Supervisor]) -> None:
    one, other = sides
    assert one.reserve("abcd")
    assert not other.reserve("xyz")
    assert _pool(one) == "abcd"
    one.space.release("abcd")
    assert other.reserve("xyz")


@pytest.mark.parametrize("urgent", [True, False])
def test_a_large_request_is_not_overtaken_by_a_small_one(sides: tuple[Supervisor, Supervisor], urgent: bool) -> None:
    one, other = sides
    assert one.reserve("ab")
    assert one.reserve("cd", urgent=False)
    assert not other.reserve("uvwxyz", urgent=True)
    one.space.release("ab")
    assert not one.reserve("ef", urgent)
    one.space.release("cd")
    assert not one.reserve("ef", urgent)
    assert other.reserve("uvwxyz", urgent=True)
    other.space.release("uvwxyz")
    assert one.reserve("ef", urgent)


def test_a_ticket_ends_with_its_process(sides: tuple[Supervisor, Supervisor]) -> None:
    one, other = sides
    assert one.reserve("ab")
    assert not other.reserve("uvwxyz")
    assert not one.reserve("cd")
    other.folder.__exit__()
    assert one.reserve("cd")


def test_a_generator_that_cannot_fit_is_refused_and_not_urgent(sides: tuple[Supervisor, Supervisor]) -> None:
    one, other = sides
    assert one.space.reserve_for_run("checker", {"k": BLOCK})
    with pytest.raises(FetchError, match="more than --max-disk"):
        one.reserve("abcdef", urgent=False)
    with pytest.raises(FetchError, match="with the files of other runs"):
        other.reserve("abcdef")
    assert one.reserve("abc", urgent=False)


def test_a_content_that_two_reserve_counts_once(sides: tuple[Supervisor, Supervisor]) -> None:
    one, other = sides
    assert one.reserve("abcde")
    assert other.reserve("abcdef")
