import os
import stat
from pathlib import Path

import pytest

from samplers.weights import own_folder
from samplers.weights.own_folder import MARK
from samplers.weights.process_folder import ProcessFolder
from workspace.errors import UsageError

OWN = f"community-forensics-{os.getuid()}"


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.attack
@pytest.mark.parametrize("name", ["pool", "slot-0", "process-data", "lock", "home"])
def test_a_folder_with_files_of_others_keeps_them(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "precious").write_bytes(b"data")
    os.utime(tmp_path / name, (0, 0))
    with ProcessFolder(tmp_path) as folder:
        assert folder.path.parent == folder.weights_dir == tmp_path / OWN
        (folder.pool / "content").write_bytes(b"weights")
    assert _files(tmp_path) == {f"{name}/precious": b"data"}


@pytest.mark.attack
def test_a_folder_of_this_program_that_holds_other_files_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / OWN):
        folder.mkdir(exist_ok=True)
        (folder / "precious").write_bytes(b"data")
    with pytest.raises(UsageError, match="files that cf-sample did not make"):
        ProcessFolder(tmp_path)
    assert _files(tmp_path) == {"precious": b"data", f"{OWN}/precious": b"data"}


@pytest.mark.attack
@pytest.mark.parametrize("place", ["the folder", "the one in it"])
def test_a_link_is_not_followed(tmp_path: Path, place: str) -> None:
    (tmp_path / "home" / "pool").mkdir(parents=True)
    (tmp_path / "home" / "pool" / "precious").write_bytes(b"data")
    link = tmp_path / "weights"
    if place == "the one in it":
        link.mkdir()
        (link / "other").write_bytes(b"")
        link /= OWN
    link.symlink_to(tmp_path / "home")
    with pytest.raises(UsageError, match="is a link: name the folder that it leads to"):
        ProcessFolder(link if place == "the folder" else link.parent)
    assert (tmp_path / "home" / "pool" / "precious").read_bytes() == b"data"


@pytest.mark.attack
def test_a_marked_folder_that_others_may_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / MARK).write_text("")
    for mode in (0o770, 0o707):
        tmp_path.chmod(mode)
        with pytest.raises(UsageError, match="may be written by others"):
            ProcessFolder(tmp_path)
    tmp_path.chmod(0o700)
    with ProcessFolder(tmp_path):
        pass


@pytest.mark.attack
def test_a_mark_that_is_a_link_is_none(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / "weights").mkdir(mode=0o700)
    (tmp_path / "weights" / MARK).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="may be written by others"):
        ProcessFolder(tmp_path / "weights")


def test_a_folder_in_which_others_may_replace_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"")
    tmp_path.chmod(0o777)
    with pytest.raises(UsageError, match="others may write there"):
        ProcessFolder(tmp_path)
    tmp_path.chmod(0o1777)
    with ProcessFolder(tmp_path) as folder:
        assert folder.weights_dir == tmp_path / OWN


@pytest.mark.parametrize("made", [True, False])
def test_an_empty_folder_is_marked_and_private_while_it_is_used(tmp_path: Path, made: bool) -> None:
    weights = tmp_path / "deep" / "weights"
    if made:
        weights.mkdir(parents=True)
        weights.chmod(0o777)
    with ProcessFolder(weights) as folder, ProcessFolder(weights) as other:
        assert folder.weights_dir == other.weights_dir == weights
        assert (weights / MARK).is_file()
        assert stat.S_IMODE(weights.stat().st_mode) == 0o700
    assert list(weights.iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="giving a folder to another user needs root")
@pytest.mark.attack
@pytest.mark.parametrize("marked", [True, False])
def test_a_folder_of_another_user_is_refused(tmp_path: Path, marked: bool) -> None:
    (tmp_path / (MARK if marked else "other")).write_text("")
    os.chown(tmp_path, 12345, 12345)
    with pytest.raises(UsageError, match="belongs to another user"):
        ProcessFolder(tmp_path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="is no folder"):
        ProcessFolder(tmp_path / "file")


def test_a_folder_that_its_last_user_leaves_at_this_moment_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "weights"
    with ProcessFolder(folder):
        pass
    own_folder.mark(folder)
    names, leaving = own_folder._names, iter([own_folder.unmark])

    def names_before_it_leaves(of: Path | int) -> list[str]:
        found = names(of)
        for leave in leaving:
            leave(folder)
        return found

    monkeypatch.setattr(own_folder, "_names", names_before_it_leaves)
    with ProcessFolder(folder) as taken:
        assert taken.weights_dir == folder
        assert (folder / MARK).exists()
    assert next(leaving, None) is None
