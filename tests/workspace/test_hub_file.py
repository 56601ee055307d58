import hashlib
import re
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path

import pytest
from huggingface_hub import close_session, set_client_factory
from huggingface_hub.utils._http import default_client_factory

from crawler.catalog import ModelFile
from samplers.weights.fetching import Fetcher, FetchError
from tests.strange_hub import Answer, Request, StrangeHub, send, send_without_end, strange_hub
from workspace import hub_file
from workspace.hub_access import HubAccess

CONTENT = bytes(range(256)) * 40
FILE = ModelFile(path="w.safetensors", size=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())
REVISION = "1" * 40


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No waits between retries, small pieces, and huggingface_hub's own client afterwards."""
    monkeypatch.setattr("workspace.retry.MAX_BACKOFF", 0.01)
    monkeypatch.setattr(hub_file, "PIECE", 3_000)
    yield
    set_client_factory(default_client_factory)


def _fetch(hub: StrangeHub, folder: Path, file: ModelFile = FILE, token: str | None = None) -> bytes:
    fetcher = Fetcher(HubAccess(hub.endpoint, token))
    fetcher.fetch("a/b", REVISION, file, folder / "file", folder / "scratch")
    assert [path.name for path in folder.iterdir()] == ["file"]
    return (folder / "file").read_bytes()


def _ranged(request: Request) -> tuple[int, int]:
    found = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers["range"])
    assert found is not None
    return int(found[1]), int(found[2]) + 1


def _send_range(request: Request, connection: socket.socket, content: bytes = CONTENT) -> None:
    start, end = _ranged(request)
    send(connection, 206, content[start:end], Content_Range=f"bytes {start}-{end - 1}/{len(content)}")


def test_a_file_is_downloaded_in_pieces(tmp_path: Path) -> None:
    with strange_hub(_send_range) as hub:
        assert _fetch(hub, tmp_path) == CONTENT
    assert [_ranged(request)[0] for request in hub.requests] == [0, 3_000, 6_000, 9_000]
    assert {request.path for request in hub.requests} == {f"/a/b/resolve/{REVISION}/w.safetensors"}


def test_a_download_continues_where_the_connection_broke(tmp_path: Path) -> None:
    def answer(request: Request, connection: socket.socket) -> None:
        start, end = _ranged(request)
        if start:
            _send_range(request, connection)
            return
        head = f"HTTP/1.1 206 So\r\nContent-Length: {end - start}\r\nContent-Range: bytes {start}-{end - 1}/{FILE.size}"
        connection.sendall(f"{head}\r\n\r\n".encode() + CONTENT[start : start + 1_000])

    with strange_hub(answer) as hub:
        assert _fetch(hub, tmp_path) == CONTENT
    assert [_ranged(request)[0] for request in hub.requests] == [0, 1_000, 4_000, 7_000, 10_000]


def test_a_server_without_ranges_sends_the_whole_file(tmp_path: Path) -> None:
    with strange_hub(lambda _, connection: send(connection, body=CONTENT)) as hub:
        assert _fetch(hub, tmp_path) == CONTENT
    assert len(hub.requests) == 1


def test_a_file_in_other_storage_comes_by_a_redirect_without_the_token(tmp_path: Path) -> None:
    with (
        strange_hub(_send_range) as storage,
        strange_hub(lambda _, connection: send(connection, 302, Location=f"{storage.endpoint}/signed?x=y")) as hub,
    ):
        assert _fetch(hub, tmp_path, token="hf_secret") == CONTENT
    assert {request.token for request in hub.requests} == {"Bearer hf_secret"}
    assert {request.token for request in storage.requests} == {None}
    assert {request.path for request in storage.requests} == {"/signed?x=y"}


def test_an_empty_file_needs_no_request(tmp_path: Path) -> None:
    empty = ModelFile(path="empty", size=0, git_oid="e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")
    with strange_hub(_send_range) as hub:
        assert _fetch(hub, tmp_path, empty) == b""
    assert hub.requests == []


def test_a_connection_that_another_thread_closed_is_opened_again(tmp_path: Path) -> None:
    closed: list[bool] = []

    def answer(request: Request, connection: socket.socket) -> None:
        if not closed:
            closed.append(True)
            close_session()
        _send_range(request, connection)

    with strange_hub(answer) as hub:
        assert _fetch(hub, tmp_path) == CONTENT


def _too_long(_: Request, connection: socket.socket) -> None:
    send_without_end(connection)


def _too_long_range(request: Request, connection: socket.socket) -> None:
    start, end = _ranged(request)
    send_without_end(connection, status=206, Content_Range=f"bytes {start}-{end - 1}/{FILE.size}")


def _grows(_: Request, connection: socket.socket) -> None:
    import gzip

    send(connection, body=gzip.compress(b"\0" * (50 << 20), 1), Content_Encoding="gzip")


def _other_part(request: Request, connection: socket.socket) -> None:
    start, end = _ranged(request)
    send(connection, 206, CONTENT[start:end], Content_Range=f"bytes {start + 1}-{end}/{FILE.size}")


def _larger(request: Request, connection: socket.socket) -> None:
    _send_range(request, connection, CONTENT * 2)


def _smaller(request: Request, connection: socket.socket) -> None:
    _send_range(request, connection, CONTENT[:5_000])


def _etag(request: Request, connection: socket.socket) -> None:
    start, end = _ranged(request)
    body = b"\1" * (end - start)
    send(connection, 206, body, Content_Range=f"bytes {start}-{end - 1}/{FILE.size}", ETag="../../../escaped")


def _turning(request: Request, connection: socket.socket) -> None:
    send(connection, 302, Location=request.path)


@pytest.mark.attack
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (_too_long, "more than the 10240 bytes of the catalogue"),
        (_too_long_range, "more than the 10240 bytes of the catalogue"),
        (_grows, "more than the 10240 bytes of the catalogue"),
        (_other_part, "answered with another part"),
        (_larger, "has 20480 bytes, in the catalogue 10240"),
        (_smaller, "has 5000 bytes, in the catalogue 10240"),
        (_etag, "has another hash"),
        (_turning, "TooManyRedirects"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_not_the_catalogues_file_is_refused_in_one_line_and_leaves_nothing(
    tmp_path: Path, answer: Answer, words: str
) -> None:
    folder = tmp_path / "deep" / "weights"
    folder.mkdir(parents=True)
    with strange_hub(answer) as hub, pytest.raises(FetchError, match=words) as error:
        _fetch(hub, folder)
    assert "\n" not in str(error.value)
    assert not error.value.transient
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.attack
def test_a_byte_now_and_then_is_no_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workspace.hub_connection.PATIENCE", 0.2)
    pause = threading.Event()

    def answer(_: Request, connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 200 So\r\nContent-Length: {FILE.size}\r\n\r\n".encode())
        while not pause.wait(0.03):
            connection.sendall(b"\0")

    with strange_hub(answer) as hub, pytest.raises(FetchError, match="less than 4 kB a second") as error:
        _fetch(hub, tmp_path)
    pause.set()
    assert error.value.transient


@pytest.mark.attack
@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"sha": 1, "siblings": []}', b"[" * 100_000, b"<html>", b"\xff"])
def test_a_listing_that_is_none_is_refused_in_one_line(body: bytes) -> None:
    with strange_hub(lambda _, connection: send(connection, body=body)) as hub, pytest.raises(FetchError) as error:
        Fetcher(HubAccess(hub.endpoint)).listing("a/b", None)
    assert "\n" not in str(error.value)


@pytest.mark.attack
def test_a_listing_has_a_limit_and_its_strange_rows_are_left_out() -> None:
    good = b'{"rfilename": "f", "size": 3, "blobId": "a"}'
    rows = good + b', {"rfilename": 1}, null, {"rfilename": "g", "size": -1}, {"rfilename": "h", "size": true}'

    def answer(request: Request, connection: socket.socket) -> None:
        more = (b"," + good) * 400_000 if "/large" in request.path else b""
        send(connection, body=b'{"sha": "c", "siblings": [' + rows + more + b"]}")

    with strange_hub(answer) as hub:
        fetcher = Fetcher(HubAccess(hub.endpoint))
        commit, files = fetcher.listing("a/b", "main")
        assert (commit, [file.path for file in files]) == ("c", ["f"])
        with pytest.raises(FetchError, match="is larger than"):
            fetcher.listing("a/large", "main")


def test_a_download_ends_when_the_process_does(tmp_path: Path) -> None:
    stopping = threading.Event()

    def answer(request: Request, connection: socket.socket) -> None:
        stopping.set()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        _send_range(request, connection)

    with strange_hub(answer) as hub:
        fetcher = Fetcher(HubAccess(hub.endpoint))
        with pytest.raises(CancelledError):
            fetcher.fetch("a/b", REVISION, FILE, tmp_path / "file", tmp_path / "scratch", stopping)
    assert list(tmp_path.iterdir()) == []
