"""The choice of the next task."""

import random
from collections import Counter

import pytest

from engines.choice import drawn, next_task
from engines.task import Task


def task(name: str, seconds: float, workers: int = 0, units: int = 1) -> Task:
    return Task(name=name, seconds=seconds, units=units, workers=workers)


@pytest.mark.parametrize(
    ("tasks", "chosen"),
    [
        ([task("short", 1.0), task("long", 2.0)], "long"),
        ([task("short", 1.0), task("long", 9.0, workers=1)], "short"),
        ([task("one is at it", 6.0, workers=1), task("three are at it", 8.0, workers=3)], "one is at it"),
        ([task("one is at it", 3.0, workers=1), task("three are at it", 8.0, workers=3)], "three are at it"),
        ([task("nothing free", 9.0, units=0), task("short", 1.0)], "short"),
        ([task("nothing free", 9.0, units=0)], None),
        ([], None),
    ],
)
def test_what_nobody_is_at_comes_first_then_where_one_more_saves_most(tasks: list[Task], chosen: str | None) -> None:
    found = next_task(iter(tasks))
    assert (found.name if found else None) == chosen


def test_a_thousand_processes_that_look_at_the_same_moment_spread() -> None:
    tasks = {str(number): task(str(number), number + 1.0) for number in range(5_000)}
    names = list(tasks)
    chosen: Counter[str] = Counter()
    for process in range(1_024):
        found = next_task(tasks[name] for name in drawn(names, random.Random(process)))
        assert found is not None
        chosen[found.name] += 1
    # Each task that more than one process chose costs all but one of them a claim in vain.
    assert len(chosen) > 500
    assert max(chosen.values()) < 10
    # And they are the long ones.
    assert sum(int(name) * count for name, count in chosen.items()) / 1_024 > 5_000 * 0.8


def test_of_a_few_tasks_all_are_seen() -> None:
    assert sorted(drawn(["a", "b", "c"], random.Random(0))) == ["a", "b", "c"]
    assert drawn([], random.Random(0)) == []
