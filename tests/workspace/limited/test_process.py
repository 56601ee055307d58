"""A process with limits that was taken over may answer anything: one error, soon, and no memory of this process."""

import socket
import struct
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.bounds import within
from workspace import containers
from workspace.containers import DamagedFileError, ParquetImages, Tar, Zip
from workspace.limited.channel import MessageError, receive
from workspace.limited.process import LimitedProcess, Limits, LostError

pytestmark = pytest.mark.attack


class _Answering:
    """A process that was taken over, and answers what it likes."""

    usable = True

    def __init__(self, answers: list[dict[str, Any]]) -> None:
        self._answers = answers

    def ask(self, *_: object, **__: object) -> tuple[dict[str, Any], bytes]:
        return (self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]), b""

    def close(self) -> None:
        self.usable = False


@pytest.mark.parametrize(
    "members",
    [
        *(5, {"a": 1}, [5], [["a"]], [["a", -1, 1, ""]], [["a", "1", 1, ""]], [["a", None, 1, ""]], [[1, 1, 1, ""]]),
        *([["a", 1, 1, None]], [["a", True, 1, ""]], [["a", 1e400, 1, ""]], [["a", 0, 0, ""]] * 1000),
    ],
)
def test_members_that_make_no_sense_are_an_error_of_the_file(
    members: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.tar").write_bytes(bytes(10_240))
    process = _Answering([{}, {"members": members}])
    monkeypatch.setattr(containers, "_PROCESSES", containers._Processes(lambda: process))  # type: ignore[arg-type, return-value]
    for kind in (Tar, Zip):
        with pytest.raises(DamagedFileError):
            kind(str(tmp_path / "a.tar"))


@pytest.mark.parametrize(
    "change",
    [{"rows": "x"}, {"rows": -1}, {"rows": 1e400}, {"rows": 10**30}, {"columns": 5}, {"images": None}, {"texts": 1}],
)
def test_a_table_that_makes_no_sense_is_an_error_of_the_file(
    change: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.parquet").write_bytes(b"x")
    process = _Answering([{"rows": 1, "columns": ["a"], "images": ["a"], "texts": []} | change])
    monkeypatch.setattr(containers, "_PROCESSES", containers._Processes(lambda: process))  # type: ignore[arg-type, return-value]
    with pytest.raises(DamagedFileError):
        ParquetImages(str(tmp_path / "a.parquet"))


@pytest.mark.parametrize("asked", ["x", [1], ["a", 1], [0, -1], [-1, 1], [1e400, 1], [1 << 70, 1], None])
def test_a_read_that_makes_no_sense_ends_the_process(asked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    process = LimitedProcess("workspace.container_process", Limits())
    monkeypatch.setattr(process, "_answer", lambda _: ({"read": asked}, b""))
    with pytest.raises(LostError, match="makes no sense"):
        process.ask({}, read=lambda _, length: bytes(min(length, 9)))
    assert not process.usable


def test_a_message_of_many_small_values_is_not_parsed() -> None:
    ours, theirs = socket.socketpair()
    header = b'{"a": [' + b"[]," * 4_000_000 + b"1]}"
    sender = threading.Thread(target=lambda: theirs.sendall(struct.pack(">IQ", len(header), 0) + header))
    sender.start()
    with within(seconds=4, megabytes=40), pytest.raises(MessageError):
        receive(ours, 1 << 30)
    sender.join()
    theirs.sendall(struct.pack(">IQ", 300 << 20, 0))
    with within(seconds=1, megabytes=40), pytest.raises(MessageError):
        receive(ours, 1 << 30)
    ours.close(), theirs.close()
