"""Writing in threads: the same rows and files as without them, in bounded memory, and errors are reported."""

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplers.child.async_writer import AsyncWriter, CheckedImage, WorkspaceError
from samplers.child.clock import Clock
from samplers.child.failures import GeneratorError
from samplers.child.writing import Png, Writer
from samplers.sample import ImageFile, Sample, read_samples
from workspace.layout import Workspace

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


def _async_writer(root: Path, images: int, next_index: int = 0, kept: Iterable[str] = (), part: int = 0) -> AsyncWriter:
    return AsyncWriter(Writer(root, NAME, part), images, next_index, kept, Clock())


def _run(root: Path, batches: list[list[CheckedImage]], images: int) -> int:
    """Hand batches over until it is enough; returns how many were needed."""
    with _async_writer(root, images) as async_writer:
        needed = 0
        while needed < len(batches) and not async_writer.is_finished():
            async_writer.add(batches[needed])
            needed += 1
        async_writer.finish()
    return needed


def _expected(shades: list[int | None], images: int) -> list[int | None]:
    """What the plan says, without threads: tries in order until the number of distinct images is reached."""
    kept: set[int] = set()
    for count, shade in enumerate(shades, start=1):
        kept |= {shade} if shade is not None else set()
        if len(kept) >= images:
            return shades[:count]
    return shades


@settings(deadline=None)  # it writes files
@given(
    shades=st.lists(st.none() | st.integers(0, 6), min_size=1, max_size=40),
    size=st.integers(1, 4),
    images=st.integers(1, 8),
)
def test_rows_and_files_are_those_of_the_plan(
    tmp_path_factory: pytest.TempPathFactory, shades: list[int | None], size: int, images: int
) -> None:
    root = tmp_path_factory.mktemp("workspace")
    needed = _run(root, _batches(shades, size), images)
    expected = _expected(shades, images)
    # No batch is sampled in vain.
    assert needed == -(-len(expected) // size)
    workspace = Workspace(root)
    rows = read_samples(workspace, NAME)
    assert [row.index for row in rows] == list(range(len(expected)))
    for row, shade in zip(rows, expected, strict=True):
        png = None if shade is None else Png.of(np.full((16, 16, 3), shade, np.uint8))
        assert row.sha256 == (png.sha256 if png else None)
        assert png is None or (root / str(row.image.path)).read_bytes() == png.content
    assert len(list(workspace.images_of(NAME).glob("*"))) == sum(shade is not None for shade in expected)
    parts = sorted(workspace.samples_of(NAME).iterdir())
    assert len(parts) == -(-needed // 4)


class _Slow(Writer):
    """A disk that waits until it is released."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, NAME, 0)
        self.go_on = threading.Event()

    def image(self, index: int, png: Png) -> None:
        assert self.go_on.wait(30)
        super().image(index, png)


def test_the_next_batch_is_accepted_while_the_last_is_written_and_a_part_follows_its_images(
    tmp_path: Path,
) -> None:
    writer = _Slow(tmp_path)
    batches = _batches([1, 2, 3, 4, 5, 6, 7, 8], 2)
    with AsyncWriter(writer, 8, 0, (), Clock()) as async_writer:
        async_writer.add(batches[0])
        assert not async_writer.is_finished()
        async_writer.add(batches[1])
        assert not async_writer.is_finished()
        third = threading.Thread(target=async_writer.add, args=(batches[2],))
        third.start()
        # Two are under way: the third waits, so that memory does not fill.
        third.join(0.3)
        assert third.is_alive()
        assert not list(tmp_path.rglob("*.parquet"))
        writer.go_on.set()
        third.join(30)
        async_writer.add(batches[3])
        assert async_writer.is_finished()
        async_writer.finish()
    assert len(list(tmp_path.rglob("*.png"))) == 8


def test_a_failed_image_is_reported_and_leaves_no_part_without_its_images(tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(b"a file where a folder should be")
    with pytest.raises(WorkspaceError, match="images"):
        _run(tmp_path, _batches(list(range(40)), 2), 100)
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_failed_part_is_reported(tmp_path: Path) -> None:
    (tmp_path / "samples").write_bytes(b"a file where a folder should be")
    with pytest.raises(WorkspaceError, match="samples"):
        _run(tmp_path, _batches([1, 2, 3], 1), 3)


def test_batches_before_a_failure_are_written_and_nothing_later(tmp_path: Path) -> None:
    writer = _Slow(tmp_path)
    batches = _batches(list(range(10)), 2)

    def fail() -> None:
        with AsyncWriter(writer, 100, 0, (), Clock()) as async_writer:
            for batch in batches[:4]:
                async_writer.add(batch)
                writer.go_on.set()
            raise GeneratorError("sample-failed", "the fifth batch fails")

    with pytest.raises(GeneratorError, match="fifth"):
        fail()
    # Four batches are a part, whenever the threads come to it.
    assert len(read_samples(Workspace(tmp_path), NAME)) == 8
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("batches", "encoding"))]


def test_a_run_is_resumed_in_the_middle_of_a_batch(tmp_path: Path) -> None:
    batches = _batches([1, 2, 3, 1, 4, 5], 3)
    kept = [Png.of(np.full((16, 16, 3), 1, np.uint8)).sha256]
    with _async_writer(tmp_path, 4, next_index=1, kept=kept, part=1) as async_writer:
        for batch in batches:
            async_writer.add(batch)
            if async_writer.is_finished():
                break
        async_writer.finish()
    assert [row.index for row in read_samples(Workspace(tmp_path), NAME)] == [1, 2, 3, 4]
    assert (async_writer.kept, async_writer.next_index) == (4, 5)


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
