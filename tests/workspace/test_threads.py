"""Parallel work: every item once, no item started after an error, no thread left waiting."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from workspace.threads import each


def test_every_item_is_processed_once() -> None:
    assert sorted(each(lambda item: item * item, range(50), 4)) == [item * item for item in range(50)]
    assert list(each(str, (), 4)) == []


def test_after_an_error_no_item_is_started_and_running_work_ends() -> None:
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


def test_the_work_ends_when_the_caller_stops_iterating() -> None:
    stopped = threading.Event()
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        if item:
            stopped.wait(10)
        return item

    started = time.monotonic()
    for result in each(work, range(20), 2, stopped.set):
        assert result == 0
        break
    assert stopped.wait(5)
    assert time.monotonic() - started < 5
    assert len(begun) <= 3


HANGING = """
import os, sys, time
from workspace.threads import each

def work(item):
    os.write(1, b"ready\\n")  # in one call: two threads that print tear each other's lines
    time.sleep(60)

list(each(work, range(2), 2))
"""


def test_threads_that_hang_do_not_keep_the_process() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HANGING], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == [b"ready\n"] * 2
        # After the first Ctrl-C the caller waits for the threads, after the second no longer.
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
        try:
            assert process.wait(10) == -signal.SIGINT
        finally:
            process.kill()
