from pathlib import Path

import pytest

from samplers.progress import progress_of, tidy
from samplers.sample import ImageFile, Sample
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace, part_name

NAME = "org/name"


def _row(index: int, sha256: str | None = None, batch_size: int = 2) -> Sample:
    return Sample(
        model_name=NAME,
        revision="a" * 40,
        index=index,
        round=1,
        status="ok" if sha256 else "nan",
        image=ImageFile(),
        seed=index,
        batch_size=batch_size,
        device="cpu",
        dtype="float32",
        scheduler="",
        libraries="",
        sha256=sha256,
        image_name=f"{index:08d}.png" if sha256 else None,
    )


def _write(workspace: Workspace, part: int, *rows: Sample) -> None:
    records.write(workspace.samples_of(NAME) / part_name(part), Sample, rows)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path)


def test_before_the_first_row_everything_is_owed(workspace: Workspace) -> None:
    progress = progress_of(workspace, NAME)
    assert (progress.next_index, progress.parts, progress.kept, progress.revision) == (0, 0, frozenset(), None)
    assert progress.call_size(8) == 8


def test_a_duplicate_counts_once(workspace: Workspace) -> None:
    _write(workspace, 0, _row(0, "one"), _row(1, "one"))
    _write(workspace, 1, _row(2), _row(3, "two"))
    progress = progress_of(workspace, NAME)
    assert (progress.next_index, progress.parts, progress.kept) == (4, 2, frozenset({"one", "two"}))


def test_what_memory_forced_before_is_where_one_goes_on(workspace: Workspace) -> None:
    _write(workspace, 0, *(_row(index, batch_size=4) for index in range(4)))
    _write(workspace, 1, _row(4, batch_size=2), _row(5, batch_size=2), _row(6, batch_size=2), _row(7, batch_size=2))
    assert progress_of(workspace, NAME).call_size(4) == 2


def test_a_part_that_is_missing_in_the_middle_is_refused(workspace: Workspace) -> None:
    _write(workspace, 0, _row(0))
    _write(workspace, 2, _row(2))
    with pytest.raises(UsageError, match="lacks a part"):
        progress_of(workspace, NAME)


def test_what_a_kill_left_is_removed_and_nothing_else(workspace: Workspace) -> None:
    _write(workspace, 0, _row(0, "one"), _row(1))
    images = workspace.images_of(NAME)
    images.mkdir(parents=True)
    for name in ("00000000.png", "00000002.png", ".00000003.png.abc.partial"):
        (images / name).write_bytes(b"")
    (workspace.samples_of(NAME) / ".part-00001.parquet.abc.partial").write_bytes(b"")
    tidy(workspace, progress_of(workspace, NAME), NAME)
    assert [path.name for path in images.iterdir()] == ["00000000.png"]
    assert [path.name for path in workspace.samples_of(NAME).iterdir()] == [part_name(0)]
