import hashlib
import os
import time
from pathlib import Path

import pytest

from localhub.blobs import ABANDONED_SECONDS, Blobs
from localhub.request_errors import BadRequest
from workspace.atomic import PARTIAL_SUFFIX


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_equal_contents_are_stored_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    blobs = Blobs(tmp_path / "blobs")
    sha256, size = blobs.put(b"content")
    assert (sha256, size) == (hashlib.sha256(b"content").hexdigest(), 7)
    assert blobs.put(tmp_path / "file") == (sha256, size)
    assert files_below(tmp_path / "blobs") == [blobs.path(sha256)]
    assert (blobs.size(sha256), blobs.read(sha256), blobs.read(sha256, 3)) == (7, b"content", b"con")


def test_a_file_is_copied_not_shared(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"before")
    blobs = Blobs(tmp_path / "blobs")
    sha256, _ = blobs.put(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"after!")
    assert blobs.read(sha256) == b"before"


@pytest.mark.parametrize(
    ("content", "size", "why"),
    [(b"conten", 7, "6 bytes arrived"), (b"contents", 7, "more than the 7 bytes"), (b"cOntent", 7, "has sha256")],
)
def test_a_content_that_differs_from_its_announcement_is_not_stored(
    tmp_path: Path, content: bytes, size: int, why: str
) -> None:
    blobs = Blobs(tmp_path / "blobs")
    sha256 = hashlib.sha256(b"content").hexdigest()
    with pytest.raises(BadRequest, match=why), blobs.receive(sha256, size) as incoming:
        incoming.write(content)
    assert blobs.size(sha256) is None
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_a_content_is_named_by_its_hash_only(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadRequest, match="SHA-256"):
        Blobs(tmp_path).path(name)


def test_files_of_a_killed_writer_are_removed_a_day_later(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    sha256, _ = blobs.put(b"content")
    for name, age in (("old", ABANDONED_SECONDS + 60), ("new", 60)):
        left = blobs.path(sha256).with_name(f".{name}{PARTIAL_SUFFIX}")
        left.write_bytes(b"cont")
        os.utime(left, (time.time() - age,) * 2)
    os.utime(blobs.path(sha256), (0, 0))
    blobs.remove_abandoned()
    assert {path.name for path in files_below(tmp_path)} == {sha256, f".new{PARTIAL_SUFFIX}"}
