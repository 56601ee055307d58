"""Where a source is looked for, what its digest is made of, and what is said of a folder that cannot be read."""

import hashlib
from pathlib import Path

import pytest

from captioning.selection import select
from workspace.errors import UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "real").mkdir()
    for number in range(12):
        (tmp_path / "real" / f"{number}.png").write_bytes(b"x")
    return tmp_path / "real"


def test_the_digest_is_the_hash_of_the_sorted_names(folder: Path) -> None:
    names = sorted(f"{number}.png" for number in range(12))
    assert list(select("x", folder).ids) == names
    assert select("x", folder).digest == hashlib.sha256("\0".join(names).encode()).hexdigest()
    assert select("x", folder, 2).digest != select("x", folder).digest


def test_the_home_folder_and_the_working_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.chdir(folder.parent)
    for path in ("~/real", "real", "./real/../real"):
        assert select("x", path).collection.image("0.png").path == folder / "0.png"


def test_a_path_that_cannot_be_read_is_named(folder: Path) -> None:
    path = folder / ("x" * 300)
    with pytest.raises(UsageError, match=rf"--source x: {path} cannot be read \(File name too long\)"):
        select("x", path)
    with pytest.raises(UsageError, match=rf"--source x: {folder / 'absent'} does not exist"):
        select("x", folder / "absent")


def test_a_folder_that_looks_like_another_data_set_says_so(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "lhq" / "lhq_256").mkdir(parents=True)
    (tmp_path / "lhq" / "lhq_256" / "0000000.png").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"; this looks like Landscapes HQ$"):
        select("imagenet", tmp_path / "lhq")
    with pytest.raises(UsageError) as caught:
        select("imagenet", folder)
    assert "looks like" not in str(caught.value)
    assert str(caught.value) == str(caught.value).strip()
