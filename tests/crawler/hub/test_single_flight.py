import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from crawler.hub.single_flight import SingleFlight


def test_many_threads_compute_a_value_once() -> None:
    once: SingleFlight[str, int] = SingleFlight()
    made: list[int] = []
    gate = threading.Barrier(8)

    def ask() -> int:
        gate.wait()
        return once.get("x", lambda: made.append(1) or len(made))

    with ThreadPoolExecutor(8) as pool:
        assert {future.result() for future in [pool.submit(ask) for _ in range(8)]} == {1}
    assert made == [1]


def test_an_error_reaches_the_caller_and_the_next_call_computes_again() -> None:
    once: SingleFlight[str, int] = SingleFlight()
    with pytest.raises(ZeroDivisionError):
        once.get("x", lambda: 1 // 0)
    assert once.get("x", lambda: 7) == 7


def test_a_thread_that_waits_for_a_failure_computes_itself() -> None:
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
