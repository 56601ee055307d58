"""workspace/folder_tree.py: the files of folders that were made to be endless."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from captioning.sources.folder import list_folder
from crawler.local.reader import files_below
from manifests.restoring.search import _all_in
from workspace import folder_tree
from workspace.errors import UsageError
from workspace.folder_tree import EntangledError, paths_below

pytestmark = pytest.mark.attack


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A file in more folders than functions of Python may call each other."""
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("a", dir_fd=at)
        below = os.open("a", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open("x.png", os.O_CREAT, dir_fd=at))
    os.close(at)
    yield tmp_path
    subprocess.run(["rm", "-r", str(tmp_path)], check=True)  # Python's own way ends at such a depth


def entangled(root: Path) -> Path:
    """Nine folders, each with links to all others, and one image."""
    names = [f"folder-{number}" for number in range(9)]
    for name in names:
        (root / name).mkdir()
        for other in names:
            (root / name / other).symlink_to(f"../{other}")
    (root / "folder-0/a.png").write_bytes(b"x")
    return root


def test_a_deep_folder_is_listed(deep: Path) -> None:
    expected = "a/" * 1100 + "x.png"
    assert list(paths_below(deep)) == [expected]
    assert list_folder(deep).ids == [expected]
    assert [file.path for file in files_below(deep)] == [expected]
    assert list(_all_in(deep)) == [f"{deep}/{expected}"]


def test_links_that_lead_everywhere_are_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_tree, "MOST_LINKED", 1_000)
    root = entangled(tmp_path)
    assert list(paths_below(root)) == ["folder-0/a.png"]
    with pytest.raises(EntangledError):
        list(paths_below(root, follow=True))
    with pytest.raises(UsageError, match=r"links lead to more than 1,000 folders\): remove links"):
        list_folder(root)
    assert [Path(path).name for path in _all_in(root)] == ["a.png"]


def test_files_come_before_folders_in_the_order_of_names_and_links_back_are_followed_once(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/1.png", "a/3.png", "c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "a/back").symlink_to("..")
    (tmp_path / "d").symlink_to("b")
    own = ["c.png", "a/3.png", "b/1.png", "b/2.png"]
    assert list(paths_below(tmp_path)) == own
    assert list(paths_below(tmp_path, follow=True)) == [*own, "d/1.png", "d/2.png"]
    assert list(paths_below(tmp_path, lambda entry: entry.name != "b")) == ["c.png", "a/3.png"]
