"""Sending in threads: the same rows and files as without them, in bounded memory, and errors are reported."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplers.child.batch_sender import BatchSender, CheckedImage
from samplers.child.clock import Clock
from samplers.child.failures import GeneratorError
from samplers.child.png import Png
from samplers.sample import ImageFile, Sample
from tests.samplers.child.making import Received

NAME = "org/name"


def _checked(index: int, shade: int | None) -> CheckedImage:
    """A sample with an image of its own for every shade; None: a rejected one."""
    row = Sample(
        model_name=NAME,
        revision="a" * 40,
        index=index,
        round=1,
        status="nan" if shade is None else "ok",
        image=ImageFile(),
        seed=index,
        batch_size=2,
        call_size=2,
        device="cpu",
        dtype="float32",
        scheduler="",
        libraries="",
    )
    return CheckedImage(row, None if shade is None else np.full((16, 16, 3), shade, np.uint8))


def _batches(shades: list[int | None], size: int) -> list[list[CheckedImage]]:
    tries = [_checked(index, shade) for index, shade in enumerate(shades)]
    return [tries[start : start + size] for start in range(0, len(tries), size)]


def _run(batches: list[list[CheckedImage]], images: int) -> tuple[Received, int]:
    """Hand batches over until it is enough; what was sent, and how many batches were needed."""
    received = Received()
    with BatchSender(received, images, 0, (), Clock()) as sender:
        needed = 0
        while needed < len(batches) and not sender.is_finished():
            sender.add(batches[needed])
            needed += 1
        sender.finish()
    return received, needed


def _expected(shades: list[int | None], images: int) -> list[int | None]:
    """What the plan says, without threads: tries in order until the number of distinct images is reached."""
    kept: set[int] = set()
    for count, shade in enumerate(shades, start=1):
        kept |= {shade} if shade is not None else set()
        if len(kept) >= images:
            return shades[:count]
    return shades


@given(
    shades=st.lists(st.none() | st.integers(0, 6), min_size=1, max_size=40),
    size=st.integers(1, 4),
    images=st.integers(1, 8),
)
def test_rows_and_files_are_those_of_the_plan(shades: list[int | None], size: int, images: int) -> None:
    received, needed = _run(_batches(shades, size), images)
    expected = _expected(shades, images)
    # No batch is sampled in vain.
    assert needed == -(-len(expected) // size)
    assert [row.index for row in received.rows] == list(range(len(expected)))
    assert [len(batch) for batch in received.batches[:-1]] == [size] * (needed - 1)
    for row, shade in zip(received.rows, expected, strict=True):
        png = None if shade is None else Png.of(np.full((16, 16, 3), shade, np.uint8))
        assert row.sha256 == (png.sha256 if png else None)
        assert received.files.get(row.index) == (png.content if png else None)


class _Slow(Received):
    """A supervisor that reads nothing until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def send_batch(self, rows: Sequence[Sample], files: Sequence[bytes]) -> None:
        assert self.go_on.wait(30)
        super().send_batch(rows, files)


def test_the_next_batch_is_accepted_while_the_last_is_sent_and_no_more_than_two_wait() -> None:
    received = _Slow()
    batches = _batches([1, 2, 3, 4, 5, 6, 7, 8], 2)
    with BatchSender(received, 8, 0, (), Clock()) as sender:
        sender.add(batches[0])
        assert not sender.is_finished()
        sender.add(batches[1])
        assert not sender.is_finished()
        third = threading.Thread(target=sender.add, args=(batches[2],))
        third.start()
        # Two are under way: the third waits, so that memory does not fill.
        third.join(0.3)
        assert third.is_alive()
        received.go_on.set()
        third.join(30)
        sender.add(batches[3])
        assert sender.is_finished()
        sender.finish()
    assert len(received.files) == 8


def test_a_supervisor_that_is_gone_is_reported() -> None:
    class Gone(Received):
        def send_batch(self, rows: Sequence[Sample], files: Sequence[bytes]) -> None:
            raise BrokenPipeError

    def send() -> None:
        with BatchSender(Gone(), 100, 0, (), Clock()) as sender:
            for batch in _batches(list(range(40)), 2):
                sender.add(batch)

    with pytest.raises(BrokenPipeError):
        send()


def test_batches_before_a_failure_are_sent_and_nothing_later() -> None:
    received = _Slow()
    batches = _batches(list(range(10)), 2)

    def fail() -> None:
        with BatchSender(received, 100, 0, (), Clock()) as sender:
            for batch in batches[:4]:
                sender.add(batch)
                received.go_on.set()
            raise GeneratorError("sample-failed", "the fifth batch fails")

    with pytest.raises(GeneratorError, match="fifth"):
        fail()
    assert [row.index for row in received.rows] == list(range(8))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("batches", "encoding"))]


def test_a_run_is_resumed_in_the_middle_of_a_batch() -> None:
    kept = [Png.of(np.full((16, 16, 3), 1, np.uint8)).sha256]
    received = Received()
    with BatchSender(received, 4, 1, kept, Clock()) as sender:
        for batch in _batches([1, 2, 3, 1, 4, 5], 3):
            sender.add(batch)
            if sender.is_finished():
                break
        sender.finish()
    assert [row.index for row in received.rows] == [1, 2, 3, 4]
    assert (sender.kept, sender.next_index) == (4, 5)


def test_a_given_range_is_sent_whole() -> None:
    received = Received()
    with BatchSender(received, None, 0, (), Clock()) as sender:
        for batch in _batches([1, 1, 2, 3], 2):
            sender.add(batch)
            assert not sender.is_finished()
        sender.finish()
    assert len(received.rows) == 4


def test_threads_may_share_a_clock() -> None:
    clock = Clock()

    def work(*_: Any) -> None:
        for _ in range(200):
            with clock("encode"):
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.seconds["encode"] > 0
