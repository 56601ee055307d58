from pathlib import Path

import pytest

from samplers.sample import ImageFile, Sample
from samplers.storage.progress import progress_of
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace, part_name

NAME = "org/name"


def _row(index: int, sha256: str | None = None, call_size: int = 2) -> Sample:
    return Sample(
        model_name=NAME,
        revision="a" * 40,
        index=index,
        round=1,
        status="ok" if sha256 else "nan",
        image=ImageFile(),
        seed=index,
        batch_size=4,
        call_size=call_size,
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


def test_before_the_first_row_everything_is_missing(workspace: Workspace) -> None:
    progress = progress_of(workspace, NAME)
    assert (progress.tries, progress.parts, progress.kept, progress.revision) == (0, (), frozenset(), None)


def test_a_duplicate_counts_once(workspace: Workspace) -> None:
    _write(workspace, 0, _row(0, "one"), _row(1, "one"))
    _write(workspace, 1, _row(2), _row(3, "two"))
    progress = progress_of(workspace, NAME)
    assert (progress.tries, len(progress.parts), progress.kept) == (4, 2, frozenset({"one", "two"}))


@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_a_part_that_is_not_there_has_no_rows(workspace: Workspace, how: str) -> None:
    for number in range(3):
        _write(workspace, number, _row(2 * number), _row(2 * number + 1))
    part = workspace.samples_of(NAME) / part_name(1)
    part.write_bytes(b"PAR1") if how == "damaged" else part.unlink()
    progress = progress_of(workspace, NAME)
    assert [row.index for row in progress.rows] == [0, 1, 4, 5]
    assert progress.damaged == ((part,) if how == "damaged" else ())


def test_two_parts_with_rows_of_the_same_samples_are_refused(workspace: Workspace) -> None:
    _write(workspace, 0, _row(0), _row(1))
    _write(workspace, 1, _row(1), _row(2))
    with pytest.raises(UsageError, match="rows of the same samples"):
        progress_of(workspace, NAME)


def test_rows_of_another_version_are_refused_with_a_remedy(workspace: Workspace) -> None:
    _write(workspace, 0, _row(0, "one"))
    (part,) = workspace.samples_of(NAME).iterdir()
    # As written before rows had this column, when batch_size was the number of images of one call.
    records.write_table(part, records.read_table(part, Sample).drop_columns(["call_size"]))
    with pytest.raises(UsageError) as refused:
        progress_of(workspace, NAME)
    assert str(refused.value) == (
        f"{part} was written by another version of community-forensics: continue with that version, or use another "
        "--workspace; it lacks call_size"
    )
