from pathlib import Path

import pytest

from localhub.folder import files_of
from workspace.errors import UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    for path in ("a.txt", "unet/w.bin", ".git/config", ".cache/huggingface/x", ".gitattributes"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    (tmp_path / "outside").write_text("secret")
    return folder


def test_files_of_tools_are_skipped(folder: Path) -> None:
    assert list(files_of(folder)) == [".gitattributes", "a.txt", "unet/w.bin"]


def test_a_link_within_the_folder_is_a_file(folder: Path) -> None:
    (folder / "b.txt").symlink_to("a.txt")
    assert "b.txt" in files_of(folder)


def test_a_link_to_a_file_outside_the_folder_needs_an_option(folder: Path) -> None:
    (folder / "unet" / "out").symlink_to("../../outside")
    with pytest.raises(UsageError, match="--follow-links"):
        files_of(folder)
    assert files_of(folder, follow_links=True)["unet/out"].read_text() == "secret"


@pytest.mark.parametrize("target", ["..", "unet", "/etc", "nowhere"])
def test_links_to_folders_and_broken_links_are_refused(folder: Path, target: str) -> None:
    (folder / "link").symlink_to(target)
    with pytest.raises(UsageError, match="link"):
        files_of(folder, follow_links=True)


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in ("none", "empty"):
        with pytest.raises(UsageError, match=path):
            files_of(tmp_path / path)
