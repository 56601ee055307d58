"""For how long files are unchanged, with clocks that differ: the files' times are those of a clock that is wrong by
`skew`, seen from this machine."""

import os
from pathlib import Path

import pytest

from samplers.status.file_ages import FileAges

NOON = 1_800_000_000.0


def stamp(path: Path, at: float) -> None:
    path.touch()
    os.utime(path, (at, at))


@pytest.mark.parametrize("skew", [0.0, -3600.0, 3600.0])
def test_a_file_that_changes_between_two_looks_is_young_whatever_the_clocks_say(tmp_path: Path, skew: float) -> None:
    ages, path = FileAges(), tmp_path / "log"
    stamp(path, NOON + skew)
    ages.note(path, NOON)
    for second in (10, 20, 30):
        stamp(path, NOON + skew + second)
        ages.note(path, NOON + second)
        assert ages.age(path, NOON + second) <= 10
    # And then it grows old by this machine's clock.
    ages.note(path, NOON + 530)
    assert 500 <= ages.age(path, NOON + 530) <= 510


def test_a_time_in_the_future_shows_by_how_much_this_clock_is_behind(tmp_path: Path) -> None:
    ages, old, new = FileAges(), tmp_path / "old", tmp_path / "new"
    stamp(old, NOON + 3600 - 500)
    stamp(new, NOON + 3600)
    for path in (old, new):
        ages.note(path, NOON)
    assert ages.ahead == 3600
    assert (ages.age(old, NOON), ages.age(new, NOON)) == (500, 0)


def test_what_was_old_when_it_was_first_seen_is_old(tmp_path: Path) -> None:
    ages, path = FileAges(), tmp_path / "log"
    stamp(path, NOON - 7200)
    ages.note(path, NOON)
    assert ages.age(path, NOON) == 7200
    with pytest.raises(FileNotFoundError):
        ages.note(tmp_path / "none", NOON)
