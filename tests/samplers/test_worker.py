"""The supervisor's side of the child, with real children that send given messages."""

import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

import samplers.worker
from samplers.messages import Progress, Ready, Result, Start, encode
from samplers.worker import ChildLostError, Worker
from tests.samplers.child.making import assignment

#: What Rust prints when it ends a process that gets no memory.
ABORT = "memory allocation of 4718592000 bytes failed"


@pytest.fixture
def start(tmp_path: Path) -> Start:
    folder = tmp_path / "logs"
    folder.mkdir()
    return Start(
        checker=tmp_path,
        device="cpu",
        home=tmp_path,
        stderr=folder / "stderr",
        weights=tmp_path,
        workspace=tmp_path,
        memory=None,
    )


def _slow(connection: Connection, start: Start) -> None:
    connection.send_bytes(encode(Ready(device="cpu")))
    connection.recv()
    for number in range(6):
        time.sleep(1.5)
        connection.send_bytes(encode(Progress(kept=number, tries=number)))
    connection.send_bytes(encode(Result(status="done")))


def _silent(connection: Connection, start: Start) -> None:
    connection.send_bytes(encode(Ready(device="cpu")))
    time.sleep(100)


def _aborting(connection: Connection, start: Start) -> None:
    connection.send_bytes(encode(Ready(device="cpu")))
    connection.recv()
    with start.stderr.open("a") as file:
        file.write(f"{ABORT}\nstack backtrace:\n" + "".join(f"  {line}: frame\n" for line in range(100)))
    os.abort()


def _spent(connection: Connection, start: Start) -> None:
    connection.send_bytes(encode(Ready(device="cpu")))
    connection.recv()
    connection.send_bytes(encode(Result(status="out-of-memory", detail=str(os.getpid()))))
    connection.recv()
    connection.send_bytes(encode(Result(status="done", detail=str(os.getpid()))))


def _sampled(worker: Worker, folder: Path) -> tuple[Result, list[int]]:
    heard: list[int] = []
    return worker.sample(assignment(folder), lambda progress: heard.append(progress.kept)), heard


def test_a_slow_child_that_makes_progress_is_not_killed(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samplers.worker, "main", _slow)
    with Worker(start, timeout=8) as worker:
        ended, heard = _sampled(worker, tmp_path)
    assert (ended.status, heard) == ("done", list(range(6)))


def test_a_child_without_progress_is_hung(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samplers.worker, "main", _silent)
    with Worker(start, timeout=8) as worker, pytest.raises(ChildLostError, match=r"8 s \(--timeout\)") as caught:
        _sampled(worker, tmp_path)
    assert caught.value.status == "hung"


def test_a_child_that_a_library_ended_without_memory_is_out_of_memory(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samplers.worker, "main", _aborting)
    with Worker(start, timeout=30) as worker, pytest.raises(ChildLostError, match=ABORT) as caught:
        _sampled(worker, tmp_path)
    assert caught.value.status == "out-of-memory"
    assert "signal 6" in caught.value.detail


def test_a_process_that_ran_out_of_memory_samples_no_other_generator(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samplers.worker, "main", _spent)
    with Worker(start, timeout=30) as worker:
        first, _ = _sampled(worker, tmp_path)
        second, _ = _sampled(worker, tmp_path)
    assert (first.status, second.status) == ("out-of-memory", "out-of-memory")
    assert first.detail != second.detail
