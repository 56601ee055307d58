import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from crawler.hub.single_flight import SingleFlight


def test_many_threads_cost_one_answer() -> None:
    once: SingleFlight[str, int] = SingleFlight()
    made: list[int] = []
    gate = threading.Barrier(8)

    def ask() -> int:
        gate.wait()
        return once.get("x", lambda: made.append(1) or len(made))

    with ThreadPoolExecutor(8) as pool:
        assert {future.result() for future in [pool.submit(ask) for _ in range(8)]} == {1}
    assert made == [1]


def test_a_failure_is_told_to_who_made_it_and_the_next_one_tries() -> None:
    once: SingleFlight[str, int] = SingleFlight()
    with pytest.raises(ZeroDivisionError):
        once.get("x", lambda: 1 // 0)
    assert once.get("x", lambda: 7) == 7


def test_who_waits_for_a_failure_takes_its_turn() -> None:
    once: SingleFlight[str, int] = SingleFlight()
    started, release = threading.Event(), threading.Event()

    def fail() -> int:
        started.set()
        release.wait(5)
        raise ValueError("no")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(once.get, "x", fail)
        started.wait(5)
        second = pool.submit(once.get, "x", lambda: 7)
        release.set()
        assert second.result(5) == 7
        assert isinstance(first.exception(), ValueError)
