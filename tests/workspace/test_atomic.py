"""A file that exists is whole, even if its writer is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from workspace.atomic import atomic_path, remove_partial, write_bytes, write_json


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_failed_write_leaves_the_former_file_and_no_temporary_one(tmp_path: Path) -> None:
    target = tmp_path / "rows.bin"
    write_bytes(target, b"former")
    with pytest.raises(TypeError), atomic_path(target) as temporary:
        temporary.write_bytes("text where bytes are due")  # type: ignore[arg-type]
    assert target.read_bytes() == b"former"
    assert names(tmp_path) == ["rows.bin"]


def test_a_killed_writer_leaves_the_former_file_and_a_recognizable_temporary_one(tmp_path: Path) -> None:
    target = tmp_path / "rows.bin"
    write_bytes(target, b"former")
    script = (
        "import os, signal, sys; from pathlib import Path; from workspace.atomic import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(target)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert target.read_bytes() == b"former"
    assert len(names(tmp_path)) == 2
    assert remove_partial(tmp_path) == 1
    assert names(tmp_path) == ["rows.bin"]


def test_a_written_file_has_the_permissions_the_umask_gives(tmp_path: Path) -> None:
    former = os.umask(0o027)
    try:
        write_bytes(tmp_path / "shared", b"")
    finally:
        os.umask(former)
    assert (tmp_path / "shared").stat().st_mode & 0o777 == 0o640


def test_json_is_the_same_text_whatever_the_order_of_keys(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": "ä"})
    write_json(tmp_path / "b.json", {"a": "ä", "b": 1})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "a": "ä",\n  "b": 1\n}\n'
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
