"""The supervisor's side of the child, with real children that send given messages."""

import multiprocessing
import os
import signal
import struct
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

import samplers.running.worker
from samplers.channel import Channel
from samplers.child.loop import main
from samplers.messages import Batch, Fatal, FromChild, Progress, Ready, Result, Start, encode
from samplers.running.worker import ChildLostError, SamplingError, Worker
from samplers.sample import Sample
from tests.samplers.child.making import assignment
from tests.samplers.storage.making import plan_of, png_of, row_of

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
        memory=None,
    )


def _ready(connection: Connection) -> Channel:
    """A child that is ready and has got its assignment."""
    channel = Channel(connection)
    channel.send(encode(Ready(device="cpu")))
    channel.receive(1 << 30)
    return channel


def _send(channel: Channel, message: FromChild, *contents: bytes) -> None:
    channel.send(encode(message), *contents)


def _slow(connection: Connection, start: Start) -> None:
    channel = _ready(connection)
    for number in range(5):
        time.sleep(0.8)
        _send(channel, Progress(tries=number))
    _send(channel, Result(status="done"))


def _silent(connection: Connection, start: Start) -> None:
    _ready(connection)
    time.sleep(100)


def _drawing(connection: Connection, start: Start) -> None:
    from tqdm.auto import tqdm  # type: ignore[import-untyped]

    channel = _ready(connection)
    with tqdm.get_lock():
        _send(channel, Progress(tries=1))
        time.sleep(100)


def _aborting(connection: Connection, start: Start) -> None:
    _ready(connection)
    with start.stderr.open("a") as file:
        file.write(f"{ABORT}\nstack backtrace:\n" + "".join(f"  {line}: frame\n" for line in range(100)))
    os.abort()


def _spent(connection: Connection, start: Start) -> None:
    channel = _ready(connection)
    _send(channel, Result(status="out-of-memory", detail=str(os.getpid())))
    channel.receive(1 << 30)
    _send(channel, Result(status="done", detail=str(os.getpid())))


def _at_home(connection: Connection, start: Start) -> None:
    (start.home / "planted").touch()
    found = [str(start.home), *start.without_walls, *(path.name for path in start.home.iterdir())]
    Channel(connection).send(encode(Ready(device="cpu", sandbox=found)))
    time.sleep(100)


@pytest.mark.attack
def test_what_a_child_leaves_in_its_home_is_not_there_for_the_next(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samplers.running.worker, "main", _at_home)
    monkeypatch.setenv("CF_WITHOUT_WALL", "seccomp")
    homes = []
    for _ in range(2):
        with Worker(start, timeout=60) as worker:
            assert worker.start().sandbox == list(worker.walls)
            home, *rest = worker.walls
            homes.append(Path(home))
            # The switch reaches the child, however old the fork server is.
            assert rest == ["seccomp", "planted"]
        assert not Path(home).exists()
    assert homes[0] != homes[1]
    assert {home.parent for home in homes} == {start.home}


def _sampled(worker: Worker, folder: Path) -> tuple[Result, list[int]]:
    heard: list[int] = []
    return worker.sample(assignment(folder), lambda rows, images: None, heard.append), heard


def test_a_slow_child_that_makes_progress_is_not_killed(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samplers.running.worker, "main", _slow)
    with Worker(start, timeout=60) as worker:
        worker.start()
        worker._timeout = 3
        ended, heard = _sampled(worker, tmp_path)
    assert (ended.status, heard) == ("done", list(range(5)))


def test_a_child_without_progress_is_hung(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samplers.running.worker, "main", _silent)
    with Worker(start, timeout=60) as worker:
        worker.start()
        worker._timeout = 1
        with pytest.raises(ChildLostError, match=r"1 s \(--timeout\)") as caught:
            _sampled(worker, tmp_path)
    assert caught.value.status == "hung"


def test_a_child_that_is_killed_while_it_draws_a_progress_bar_does_not_stop_the_next_one(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samplers.running.worker, "main", _drawing)
    for _ in range(2):
        heard: list[int] = []
        with Worker(start, timeout=60) as worker:
            worker.start()
            worker._timeout = 2
            with pytest.raises(ChildLostError):
                worker.sample(assignment(tmp_path), lambda rows, images: None, heard.append)
        assert heard == [1]


def test_a_child_that_a_library_ended_without_memory_is_out_of_memory(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samplers.running.worker, "main", _aborting)
    with Worker(start, timeout=30) as worker, pytest.raises(ChildLostError, match=ABORT) as caught:
        _sampled(worker, tmp_path)
    assert caught.value.status == "out-of-memory"
    assert "signal 6" in caught.value.detail


def test_a_process_that_ran_out_of_memory_samples_no_other_generator(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samplers.running.worker, "main", _spent)
    with Worker(start, timeout=30) as worker:
        first, _ = _sampled(worker, tmp_path)
        second, _ = _sampled(worker, tmp_path)
    assert (first.status, second.status) == ("out-of-memory", "out-of-memory")
    assert first.detail != second.detail


def _of_a_machine(connection: Connection, start: Start) -> None:
    """A child on a machine with GPUs: by itself it takes the seventh."""
    Channel(connection).send(encode(Ready(device="cuda:7" if start.device == "auto" else start.device)))
    time.sleep(100)


def _device_asked(connection: Connection, start: Start) -> None:
    Channel(connection).send(encode(Ready(device=f"asked for {start.device}")))
    time.sleep(100)


def test_a_child_that_replaces_a_lost_one_gets_the_same_device(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samplers.running.worker, "main", _of_a_machine)
    with Worker(replace(start, device="auto"), timeout=60) as worker:
        first = worker.start()
        worker._end()
        monkeypatch.setattr(samplers.running.worker, "main", _device_asked)
        assert (first.device, worker.start().device) == ("cuda:7", "asked for cuda:7")


def _with_a_gpu(connection: Connection, start: Start) -> None:
    """A child that a generator's kernel ends the use of its GPU for, and that takes no second one."""
    channel = Channel(connection)
    channel.send(encode(Ready(device="cuda:0")))
    channel.receive(1 << 30)
    with start.stderr.open("a") as file:
        file.write("an assertion\n")
    _send(channel, Result(status="sample-failed", detail=str(os.getpid()), device_lost=True))
    time.sleep(100)


def _crashing_on_a_gpu(connection: Connection, start: Start) -> None:
    channel = Channel(connection)
    channel.send(encode(Ready(device="cuda:0")))
    channel.receive(1 << 30)
    os.kill(os.getpid(), signal.SIGSEGV)


def _without_its_gpu(connection: Connection, start: Start) -> None:
    Channel(connection).send(encode(Fatal(detail=f"--device {start.device} cannot be used: gone")))
    time.sleep(100)


def test_a_process_that_lost_its_device_samples_no_other_generator(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samplers.running.worker, "main", _with_a_gpu)
    with Worker(replace(start, device="auto"), timeout=30) as worker:
        first, _ = _sampled(worker, tmp_path)
        # For the outcome of the generator.
        assert worker.last_lines() == ("an assertion",)
        second, _ = _sampled(worker, tmp_path)
    assert (first.status, second.status) == ("sample-failed", "sample-failed")
    assert first.detail != second.detail


@pytest.mark.parametrize("child", [_with_a_gpu, _crashing_on_a_gpu])
def test_a_device_that_is_gone_ends_the_run_and_no_generator_is_blamed(
    child: Callable[[Connection, Start], None], start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samplers.running.worker, "main", child)
    with Worker(replace(start, device="auto"), timeout=30) as worker:
        worker.start()
        monkeypatch.setattr(samplers.running.worker, "main", _without_its_gpu)
        with pytest.raises(SamplingError, match="--device cuda:0 cannot be used: gone"):
            _sampled(worker, tmp_path)


def _crashing_once(connection: Connection, start: Start) -> None:
    """Crashes before it is ready, the first time."""
    mark = start.weights / "crashed"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGSEGV)
    Channel(connection).send(encode(Ready(device="cpu")))
    time.sleep(100)


def _crashing(connection: Connection, start: Start) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def test_a_child_that_crashes_at_its_start_is_started_again(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samplers.running.worker, "main", _crashing_once)
    with Worker(start, timeout=60) as worker:
        assert worker.start().device == "cpu"
    monkeypatch.setattr(samplers.running.worker, "main", _crashing)
    with Worker(start, timeout=60) as worker, pytest.raises(SamplingError, match=r"does not start: .* signal 11"):
        worker.start()


def test_a_child_that_starts_when_its_supervisor_has_ended_prints_nothing(
    start: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    gone = replace(start, stderr=start.home / "gone" / "stderr")
    ours, its = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=main, args=(its, gone))
    process.start()
    process.join(60)
    assert (process.exitcode, *capfd.readouterr()) == (0, "", "")
    ours.close()


def _batch(first: int) -> tuple[Batch, list[bytes]]:
    rows = [asdict(row_of(index)) for index in (first, first + 1)]
    for row in rows:
        del row["image"]
    return Batch(rows=rows), [png_of(row["index"]).content for row in rows if row["sha256"]]


def _honest(channel: Channel) -> None:
    batch, contents = _batch(0)
    _send(channel, batch, *contents)


#: What a child sends in which a stranger's file made code run.
def _stale_progress(channel: Channel) -> None:
    while True:
        _send(channel, Progress(tries=1))
        time.sleep(0.01)


def _nested(channel: Channel) -> None:
    channel.send(b"[" * 900_000)


def _garbage(channel: Channel) -> None:
    channel.send(os.urandom(1000))


def _too_long(channel: Channel) -> None:
    os.write(channel._connection.fileno(), struct.pack(">Q", 9 * 10**9))
    time.sleep(100)


def _half(channel: Channel) -> None:
    os.write(channel._connection.fileno(), struct.pack(">Q", 100) + b"[")
    time.sleep(100)


def _again(channel: Channel) -> None:
    _honest(channel)
    _honest(channel)


def _another_size(channel: Channel) -> None:
    batch, contents = _batch(0)
    _send(channel, batch, contents[0] + b"more", *contents[1:])
    time.sleep(100)


def _fewer_images(channel: Channel) -> None:
    batch, contents = _batch(0)
    _send(channel, batch, contents[0])
    time.sleep(100)


def _ready_again(channel: Channel) -> None:
    _send(channel, Ready(device="cpu"))
    time.sleep(100)


ATTACKS: dict[str, tuple[Callable[[Channel], None], str]] = {
    "progress without end": (_stale_progress, "misbehaved"),
    "nesting without end": (_nested, "misbehaved"),
    "bytes that are no message": (_garbage, "misbehaved"),
    "a message of gigabytes": (_too_long, "misbehaved"),
    "half a message": (_half, "hung"),
    "a batch twice": (_again, "misbehaved"),
    "an image of another size": (_another_size, "misbehaved"),
    "an image too few": (_fewer_images, "hung"),
    "another kind of message": (_ready_again, "misbehaved"),
}


def _attack(name: str, connection: Connection, start: Start) -> None:
    ATTACKS[name][0](_ready(connection))


@pytest.mark.attack
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_child_that_breaks_the_protocol_is_ended_and_costs_its_generator(
    start: Start, monkeypatch: pytest.MonkeyPatch, attack: str
) -> None:
    _, status = ATTACKS[attack]
    monkeypatch.setattr(samplers.running.worker, "main", partial(_attack, attack))
    stored: list[Sample] = []
    wanted = replace(assignment(start.home), plan=plan_of())
    with Worker(start, timeout=60) as worker:
        worker.start()
        worker._timeout = 1 if status == "hung" else 60
        with pytest.raises(ChildLostError) as lost:
            worker.sample(wanted, lambda rows, images: stored.extend(rows))
    assert lost.value.status == status
    # What was whole before counts.
    assert [row.index for row in stored] == ([0, 1] if attack == "a batch twice" else [])
