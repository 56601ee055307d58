"""A file is on the disk before it gets its name, and its name before the writer goes on."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from workspace.atomic import atomic_path, remove_partial, write_bytes, write_json


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Each call of fsync and replace, with the inode of the file or folder; the calls themselves are the system's."""
    seen: list[tuple[str, int]] = []
    fsync, replace = os.fsync, os.replace

    def observed_fsync(descriptor: int) -> None:
        seen.append(("fsync", os.fstat(descriptor).st_ino))
        fsync(descriptor)

    def observed_replace(source: str, target: str) -> None:
        seen.append(("replace", Path(source).stat().st_ino))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", observed_fsync)
    monkeypatch.setattr(os, "replace", observed_replace)
    return seen


def test_the_content_is_flushed_before_the_rename_and_the_folder_after_it(
    tmp_path: Path, calls: list[tuple[str, int]]
) -> None:
    write_bytes(tmp_path / "rows.bin", b"rows")
    file, folder = (tmp_path / "rows.bin").stat().st_ino, tmp_path.stat().st_ino
    assert calls == [("fsync", file), ("replace", file), ("fsync", folder)]


def test_a_block_that_fails_flushes_and_renames_nothing(tmp_path: Path, calls: list[tuple[str, int]]) -> None:
    with pytest.raises(TypeError), atomic_path(tmp_path / "rows.bin") as temporary:
        temporary.write_bytes("no bytes")  # type: ignore[arg-type]
    assert calls == []


def test_descriptors_are_closed(tmp_path: Path) -> None:
    before = open_descriptors()
    for number in range(5):
        write_bytes(tmp_path / f"{number}", b"")
    assert open_descriptors() == before


def open_descriptors() -> int:
    return sum(1 for number in range(256) if _is_open(number))


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@pytest.fixture
def no_umask() -> Iterator[None]:
    former = os.umask(0)
    yield
    os.umask(former)


@pytest.mark.usefixtures("no_umask")
def test_the_temporary_file_exists_from_the_start_and_is_named_as_one(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "rows.bin") as temporary:
        assert temporary.parent == tmp_path
        assert re.fullmatch(r"\.rows\.bin\.[0-9a-f]{8}\.partial", temporary.name)
        assert temporary.stat().st_mode & 0o777 == 0o666
    assert (tmp_path / "rows.bin").read_bytes() == b""


def test_folders_are_made_and_long_names_are_names(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / ("n" * 250)
    write_bytes(target, b"one")
    write_bytes(target, b"two")
    assert target.read_bytes() == b"two"
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_only_leftovers_of_this_folder_are_removed(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    kept = [tmp_path / name for name in (".hidden", "rows.partial", "below/.rows.bin.0123abcd.partial")]
    for path in [*kept, tmp_path / ".rows.bin.0123abcd.partial", tmp_path / ".part.4567abcd.partial"]:
        path.write_bytes(b"")
    assert remove_partial(tmp_path) == 2
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)
    assert remove_partial(tmp_path) == 0
    assert remove_partial(tmp_path / "absent") == 0


def test_what_json_cannot_say_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "rows.json", {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "rows.json", {"a": float("nan")})
    assert (tmp_path / "rows.json").read_text() == '{\n  "a": 1\n}\n'
