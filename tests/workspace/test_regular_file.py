"""workspace/regular_file.py: a file is opened only if it is a regular one, inside the folder that was named."""

import os
import socket
import threading
from pathlib import Path

import pytest

from workspace.regular_file import NotRegularError, OutsideError, open_regular, read_regular

pytestmark = pytest.mark.attack


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder beside a token."""
    (tmp_path / "token").write_text("hf_secret")
    (tmp_path / "source/deep").mkdir(parents=True)
    (tmp_path / "source/a.txt").write_text("a cat")
    return tmp_path / "source"


def test_links_may_stay_inside_the_folder(source: Path) -> None:
    (source / "deep/link.txt").symlink_to("../a.txt")
    (source / "deep/absolute.txt").symlink_to(source / "a.txt")
    (source.parent / "same").symlink_to(source)
    for path in (
        source / "a.txt",
        source / "deep/link.txt",
        source / "deep/absolute.txt",
        source.parent / "same/a.txt",
    ):
        assert read_regular(path, source) == b"a cat"
        assert read_regular(path, source.parent / "same") == b"a cat"
    assert read_regular(source / "a.txt", source, limit=3) == b"a c"


@pytest.mark.parametrize("target", ["../token", "/proc/self/environ", "deep/../../token"])
def test_a_link_that_leads_out_is_refused(source: Path, target: str) -> None:
    (source / "b.txt").symlink_to(target)
    with pytest.raises(OutsideError, match="a link that leads out of") as refused:
        read_regular(source / "b.txt", source)
    assert refused.value.filename == str(source / "b.txt")


def test_a_linked_folder_that_leads_out_is_refused(source: Path) -> None:
    (source / "up").symlink_to("..")
    with pytest.raises(OutsideError):
        read_regular(source / "up/token", source)
    # A folder whose name only begins like that of the source is outside it.
    (source.parent / "source2").mkdir()
    (source.parent / "source2/a.txt").write_text("x")
    with pytest.raises(OutsideError):
        read_regular(source / "up/source2/a.txt", source)


def test_pipes_sockets_devices_and_folders_are_refused_without_waiting(source: Path) -> None:
    os.mkfifo(source / "pipe")
    (source / "device").symlink_to("/dev/zero")
    (source / "terminal").symlink_to("/dev/tty")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(source / "socket"))
        for name in ("pipe", "device", "terminal", "socket", "deep"):
            for within in (source, None):
                with pytest.raises(NotRegularError, match="not a regular file"):
                    open_regular(source / name, within)


def test_a_file_that_is_exchanged_meanwhile_is_the_checked_one_or_refused(source: Path) -> None:
    """One thread exchanges a caption for a link to the token, as fast as it can, while it is read."""
    stop = threading.Event()

    def exchange() -> None:
        while not stop.is_set():
            (source / "next").symlink_to("../token")
            (source / "next").rename(source / "b.txt")
            (source / "next").write_text("a cat")
            (source / "next").rename(source / "b.txt")

    (source / "b.txt").write_text("a cat")
    thread = threading.Thread(target=exchange)
    thread.start()
    try:
        refused = 0
        for _ in range(3000):
            try:
                assert read_regular(source / "b.txt", source) in (b"a cat", b"")
            except OutsideError:
                refused += 1
    finally:
        stop.set()
        thread.join()
    assert refused > 0


def test_no_descriptor_stays_open_after_a_refusal(source: Path) -> None:
    (source / "b.txt").symlink_to("../token")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        with pytest.raises(OutsideError):
            open_regular(source / "b.txt", source)
        with pytest.raises(FileNotFoundError):
            open_regular(source / "none", source)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
