"""Folders and datasets that were made to end a detector's command, or to have it read files of its user."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detectors.data.index import Index
from detectors.data.sources.choice import parse_source
from detectors.data.sources.published import PublishedSource
from detectors.prediction import _Files
from tests.detectors.data.test_sources import save
from workspace.errors import CommunityForensicsError
from workspace.layout import Workspace

pytestmark = pytest.mark.attack


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "workspace")


def test_names_that_no_table_holds_are_left_out_and_said(workspace: Workspace, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for number, name in enumerate((b"1.png", b"\xff.png", b"\x1b[31m.png", "\u202egnp.png".encode())):
        save(tree / "g/fake" / os.fsdecode(name), number)
    save(tree / "g/real/1.png", 9)
    index = Index.open([str(tree)], workspace)
    assert index.table.column("locator").to_pylist() == ["g/fake/1.png", "g/real/1.png"]
    assert "tree: left out, because no table holds the characters of their names: 3 files" in list(index.notes())


def test_a_hole_that_is_called_an_image_is_not_read_into_memory(workspace: Workspace, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    save(tree / "g/fake/1.png", 1)
    save(tree / "g/real/1.png", 2)
    (tree / "g/real/2.png").touch()
    os.truncate(tree / "g/real/2.png", 1 << 40)
    os.mkfifo(tree / "g/real/3.png")
    index = Index.open([str(tree)], workspace)
    assert len(index) == 2
    assert any("no image that can be read: 2 files, such as g/real/2.png" in note for note in index.notes())
    strange = tree / os.fsdecode(b"g/real/\xff.png")
    (tree / "g/real/2.png").rename(strange)
    files = _Files([strange])
    (batch,) = files.batches()
    with pytest.raises(OSError, match="more than 268,435,456 bytes"):
        files.read(batch.column("locator")[0].as_py())


def test_shards_are_regular_files_of_their_folder(workspace: Workspace, tmp_path: Path) -> None:
    private = pa.table({name: ["x"] for name in ("image", "label", "sha256", "generator", "model_name")})
    pq.write_table(private, tmp_path / "private.parquet")
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "a.parquet").symlink_to(tmp_path / "private.parquet")
    with pytest.raises(CommunityForensicsError, match=r"a\.parquet: a link that leads out"):
        parse_source(str(folder), workspace)
    (folder / "a.parquet").unlink()
    os.mkfifo(folder / "a.parquet")
    with pytest.raises(CommunityForensicsError, match=r"a\.parquet: not a regular file"):
        PublishedSource("x", str(folder), ["a.parquet"])
