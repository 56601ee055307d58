"""Work in parallel: every item once, nothing begun after an error, nobody left waiting."""

import threading
import time

import pytest

from workspace.threads import each


def test_every_item_is_worked_on_once() -> None:
    assert sorted(each(lambda item: item * item, range(50), 4)) == [item * item for item in range(50)]
    assert list(each(str, (), 4)) == []


def test_after_an_error_nothing_more_is_begun_and_what_is_under_way_ends() -> None:
    begun: list[int] = []
    ended: list[int] = []
    stops: list[bool] = []
    together = threading.Barrier(3)

    def work(item: int) -> None:
        begun.append(item)
        together.wait(10)
        if item == 0:
            raise ValueError("refused")
        time.sleep(0.2)
        ended.append(item)

    with pytest.raises(ValueError, match="refused"):
        list(each(work, range(20), 3, lambda: stops.append(True)))
    assert (sorted(begun), sorted(ended), stops) == ([0, 1, 2], [1, 2], [True])


def test_who_takes_no_more_results_ends_the_work() -> None:
    stopped = threading.Event()

    def work(item: int) -> int:
        if item:
            stopped.wait(10)
        return item

    started = time.monotonic()
    for result in each(work, range(20), 2, stopped.set):
        assert result == 0
        break
    assert stopped.wait(5)
    assert time.monotonic() - started < 5
