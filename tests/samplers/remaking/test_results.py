import csv
from pathlib import Path

import pytest

from samplers.remaking.results import Remade, RemadeRow, ResultFolder
from workspace.errors import CommunityForensicsError, UsageError
from workspace.layout import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "workspace")


def _row(number: int, **changes: object) -> RemadeRow:
    values = {"number": number, "given": f"org/name#{number}", "result": "equal", "status": "ok", **changes}
    return RemadeRow(**values)  # type: ignore[arg-type]


def test_an_interrupted_remake_of_the_same_rows_continues_and_one_that_ended_begins_anew(
    workspace: Workspace, tmp_path: Path
) -> None:
    first = ResultFolder(workspace, tmp_path / "again", ["a", "b"])
    assert first.done == {}
    path = first.write_image("org/name", "00000001.png", b"an image")
    assert (tmp_path / "again" / path).read_bytes() == b"an image"
    assert first.write_image("org/name", "00000001.png", b"an image") == path
    other = first.write_image("org/name", "00000001.png", b"another one")
    assert (tmp_path / "again" / path).read_bytes() == b"an image"
    assert (tmp_path / "again" / other).read_bytes() == b"another one"
    first.write_results([_row(1, path=path)], finished=False)
    assert ResultFolder(workspace, tmp_path / "again", ["a", "b"]).done == {1: _row(1, path=path)}
    first.write_results([_row(1), _row(2)], finished=True)
    assert ResultFolder(workspace, tmp_path / "again", ["a", "b"]).done == {}


def test_a_folder_with_other_images_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    ResultFolder(workspace, tmp_path / "again", ["a"])
    for damaged in (False, True):
        if damaged:
            (tmp_path / "again" / "results.json").write_text("{")
        with pytest.raises(UsageError, match="holds other files, or other images made again"):
            ResultFolder(workspace, tmp_path / "again", ["b"])
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot be used \(File exists\): name another folder"):
        ResultFolder(workspace, tmp_path / "file", ["a"])


def test_a_cell_of_the_table_is_one_line(workspace: Workspace, tmp_path: Path) -> None:
    folder = ResultFolder(workspace, tmp_path / "again", ["a"])
    folder.write_results([_row(1, detail="two\nlines \x1b[2J")], finished=True)
    (row,) = csv.DictReader((tmp_path / "again" / "results.csv").read_text().splitlines())
    assert row["detail"] == "two lines \ufffd[2J"


def test_the_lines_count_and_name_what_is_not_equal(tmp_path: Path) -> None:
    environment = {"device": "cpu", "libraries": "torch=2.13.0"}
    rows = [_row(1, **environment), _row(2, status="nsfw", **environment), _row(3, status="nan", **environment)]
    remade = Remade((*rows,), tmp_path, real=4)
    assert list(remade.lines()) == [
        "3 of 3 rows made again equal on cpu, torch=2.13.0",
        "of these, rejected again for the same reason, without an image: 1 nan, 1 nsfw",
        "left out: 4 rows of real images, which no generator made",
        f"results: {tmp_path / 'results.csv'}",
    ]
    remade.require_equal()
    others = [_row(n, result="not-made", detail="why", generator="org/name", index=n) for n in range(30)]
    lines = list(Remade((*rows, *others), tmp_path).lines())
    assert lines[2] == "org/name#0 not-made: why"
    assert lines[-2] == "... and 10 more"
    with pytest.raises(CommunityForensicsError, match=r"not all rows are equal \(30 not-made\)"):
        Remade((*rows, *others), tmp_path).require_equal()
