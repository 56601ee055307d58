import hashlib
import os
import queue
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from types import SimpleNamespace

import pytest

from crawler.catalog import ModelFile
from samplers.weights import hub_watch
from samplers.weights.fetching import Fetcher, FetchError
from samplers.weights.hub_watch import HubWatch
from samplers.weights.prefetch import prefetched
from samplers.weights.process_folder import ProcessFolder
from samplers.weights.store import LocalFiles, WeightStore
from tests.records import catalog_entry
from tests.strange_hub import Request, StrangeHub, send, strange_hub
from workspace.hub_access import HubAccess

Mood = Callable[[socket.socket], None]


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _portal(connection: socket.socket) -> None:
    send(connection, body=b"<!doctype html><title>Log in to continue</title>")


def _refused(status: int, **headers: str) -> Mood:
    return lambda connection: send(connection, status, b"{}", **headers)


OUTAGES = {
    "lost connections": _reset,
    "revoked token": _refused(401, X_Error_Message="Invalid credentials in Authorization header"),
    "no token": _refused(401),
    "blocked address": _refused(403),
    "captive portal": _portal,
    "not found": _refused(404),
    "repository not found": _refused(404, X_Error_Code="RepoNotFound"),
    "busy": _refused(503),
}


class Hub:
    """A Hub of generators, each of one file, that can be away."""

    def __init__(self) -> None:
        self.mood: Mood | None = None
        self.failing: dict[str, Mood] = {}
        self.away = threading.Event()

    def answer(self, request: Request, connection: socket.socket) -> None:
        mood = self.mood or self.failing.get(request.path.split("/resolve/")[0])
        if mood is None:
            send(connection, body=_content(request.path.split("/")[2]))
            return
        if self.mood is not None:
            self.away.set()
        mood(connection)


def _content(name: str) -> bytes:
    return f"weights of {name}".encode()


def _generator(number: int, content: str | None = None) -> SimpleNamespace:
    name = f"{number}"
    content_of = _content(content or name)
    file = ModelFile(path="w.safetensors", size=len(content_of), sha256=hashlib.sha256(content_of).hexdigest())
    return SimpleNamespace(entry=catalog_entry(f"acme/{name}", files=(file,)))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of a moment."""
    monkeypatch.setattr("workspace.retry.MAX_BACKOFF", 0.01)
    monkeypatch.setattr(hub_watch, "FIRST", 0.02)
    monkeypatch.setattr(hub_watch, "LONGEST", 0.05)
    monkeypatch.setattr("samplers.weights.prefetch._LOOK_SECONDS", 0.02)


@pytest.fixture
def hub() -> Iterator[tuple[Hub, StrangeHub]]:
    hub = Hub()
    with strange_hub(hub.answer) as served:
        yield hub, served


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[ProcessFolder]:
    with ProcessFolder(tmp_path / "weights") as folder:
        yield folder


def _store(folder: ProcessFolder, served: StrangeHub) -> tuple[WeightStore, list[str]]:
    fetcher, said = Fetcher(HubAccess(served.endpoint, "hf_token")), []
    fetcher.watch.say = said.append
    return WeightStore(folder, fetcher), said


@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_of_any_length_is_waited_for_and_costs_no_generator(
    hub: tuple[Hub, StrangeHub], folder: ProcessFolder, outage: str
) -> None:
    store, said = _store(folder, hub[1])
    line = prefetched([_generator(number) for number in range(9)], store)
    assert isinstance(next(line)[1], LocalFiles)
    hub[0].mood = OUTAGES[outage]
    ends: queue.SimpleQueue[object] = queue.SimpleQueue()
    taking = threading.Thread(target=lambda: [ends.put(files) for _, files in line], daemon=True)
    taking.start()
    assert hub[0].away.wait(20)
    while not said:
        time.sleep(0.01)
    hub[0].mood = None
    assert [type(ends.get(timeout=20)) for _ in range(8)] == [LocalFiles] * 8
    taking.join(20)
    assert len(said) == 2
    assert said[0].startswith("the Hub does not answer well (")
    assert said[1].startswith("the Hub answers well again, after ")
    assert not any("\n" in one for one in said)


@pytest.mark.parametrize("outage", ["blocked address", "captive portal", "not found", "repository not found"])
def test_what_fails_while_the_hub_answers_well_for_others_has_failed_for_good(
    hub: tuple[Hub, StrangeHub], folder: ProcessFolder, outage: str
) -> None:
    store, said = _store(folder, hub[1])
    hub[0].failing["/acme/1"] = OUTAGES[outage]
    ends = [files for _, files in prefetched([_generator(number) for number in range(3)], store)]
    assert [type(files) for files in ends] == [LocalFiles, FetchError, LocalFiles]
    assert isinstance(ends[1], FetchError)
    assert not ends[1].transient
    assert said == []


@pytest.mark.parametrize("passing", [True, False])
def test_what_may_pass_is_tried_again_after_the_others(
    hub: tuple[Hub, StrangeHub], folder: ProcessFolder, passing: bool
) -> None:
    store, _ = _store(folder, hub[1])
    hub[0].failing["/acme/1"] = _refused(503)
    ends = []
    for one, files in prefetched([_generator(number) for number in range(9)], store):
        ends.append((one.entry.model_name, isinstance(files, FetchError) and files.transient))
        if passing:
            hub[0].failing.clear()
    order = [0, *range(2, 9), 1] if ends[-1][0] == "acme/1" else list(range(9))
    assert [name for name, _ in ends] == [f"acme/{number}" for number in order]
    assert [failed for _, failed in ends] == [False] * 8 + [not passing]


def test_while_the_hub_is_away_generators_that_need_no_download_are_sampled(
    hub: tuple[Hub, StrangeHub], folder: ProcessFolder
) -> None:
    store, said = _store(folder, hub[1])
    # The last one has the file of the first one.
    generators = [*(_generator(number) for number in range(9)), _generator(9, content="0")]
    line = prefetched(generators, store)
    seen = [next(line)[0].entry.model_name]
    # Four are downloaded ahead.
    while len(list(folder.path.glob("generators/*/model/*"))) < 4:
        time.sleep(0.01)
    hub[0].mood = OUTAGES["captive portal"]
    for _ in range(4):
        one, files = next(line)
        assert isinstance(files, LocalFiles)
        seen.append(one.entry.model_name)
    assert seen == ["acme/0", "acme/1", "acme/2", "acme/3", "acme/9"]
    hub[0].mood = None
    assert [one.entry.model_name for one, _ in line] == [f"acme/{number}" for number in range(4, 9)]
    assert len(said) <= 2


def test_a_large_file_is_asked_for_by_its_beginning_and_a_blocked_storage_is_noticed(tmp_path: Path) -> None:
    small, size, blocked = b"{}", 3 << 20, threading.Event()
    files = (
        ModelFile(path="small.json", size=2, git_oid="9e26dfeeb6e641a33dae4961196235bdb965b21b"),
        ModelFile(path="large", size=size, sha256="a" * 64),
    )

    def answer(request: Request, connection: socket.socket) -> None:
        if request.path.endswith("small.json"):
            send(connection, body=small)
        elif blocked.is_set():
            send(connection, 403)
        else:
            send(connection, 206, b"x" * 1024, Content_Range=f"bytes 0-1023/{size}")

    with strange_hub(answer) as served:
        fetcher = Fetcher(HubAccess(served.endpoint))
        said: list[str] = []
        fetcher.watch.say = lambda line: (said.append(line), blocked.clear())[0]
        for file in files:
            fetcher.know("acme/checker", "1" * 40, file)
        assert not fetcher.watch.waited(threading.Event())
        blocked.set()
        assert fetcher.watch.waited(threading.Event())
    assert "403" in said[0]
    assert {request.headers.get("range") for request in served.requests} == {None, "bytes=0-1023"}


def test_waiting_ends_with_the_process() -> None:
    stopping = threading.Event()
    watch = HubWatch(lambda: "away", say=lambda _: stopping.set())
    with pytest.raises(CancelledError):
        watch.waited(stopping)
    assert not watch.is_away


def test_a_long_outage_is_mentioned_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_watch, "REMINDER", 0.2)
    said: list[str] = []
    watch = HubWatch(lambda: "away" if len(said) < 3 else None, said.append)
    assert watch.waited(threading.Event())
    words = [" ".join(line.split()[:6]) for line in said]
    assert words == ["the Hub does not answer well"] * 3 + ["the Hub answers well again, after"]


def test_a_moment_is_not_mentioned() -> None:
    problems = iter(["away", None, None])
    said: list[str] = []
    watch = HubWatch(lambda: next(problems), said.append)
    assert watch.waited(threading.Event())
    assert not watch.waited(threading.Event())
    assert said == []


_WAITING = """
import sys, threading
from pathlib import Path
from samplers.weights.hub_watch import HubWatch
from samplers.weights.process_folder import ProcessFolder
from workspace.command_line import run
def work():
    with ProcessFolder(Path(sys.argv[1])) as folder:
        watch = HubWatch(lambda: "away")
        thread = threading.Thread(target=watch.waited, args=(folder.stopping,), daemon=True)
        thread.start()
        thread.join()
run(work)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_that_waits(tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-c", _WAITING, str(tmp_path / "weights")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("the Hub does not answer well (away)")
        os.kill(process.pid, number)
        assert process.wait(20) in (75, 130, 143, -signal.SIGTERM)
