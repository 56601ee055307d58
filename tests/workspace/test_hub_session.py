import gzip
import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import HfApi, constants, hf_hub_download, set_client_factory
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils._http import default_client_factory

from tests.strange_hub import Request, send, send_without_end, strange_hub
from workspace import hub_connection, hub_session
from workspace.hub_access import HubAccess
from workspace.hub_session import RefusedAnswerError, TooLargeError, limited, limited_to, session

TOKEN = "hf_secret"


@pytest.fixture(autouse=True)
def own_factory() -> Iterator[None]:
    """huggingface_hub's own client afterwards."""
    yield
    set_client_factory(default_client_factory)


@pytest.mark.attack
def test_the_token_goes_to_the_configured_hub_only() -> None:
    with (
        strange_hub(lambda _, connection: send(connection, body=b"{}")) as thief,
        strange_hub(lambda _, connection: send(connection, 302, Location=f"{thief.endpoint}/cdn")) as hub,
    ):
        client = session(HubAccess(hub.endpoint, TOKEN))
        headers = {"Authorization": f"Bearer {TOKEN}"}
        client.get(f"{hub.endpoint}/x", headers=headers)
        client.get(f"{thief.endpoint}/named-by-a-header", headers=headers)
    assert [request.token for request in hub.requests] == [f"Bearer {TOKEN}"]
    assert [request.token for request in thief.requests] == [None, None]


@pytest.mark.attack
def test_an_address_for_xet_at_another_host_gets_no_token(tmp_path: Path) -> None:
    content = b"weights"

    def answer(request: Request, connection: socket.socket) -> None:
        link = f'<{thief.endpoint}/refresh>; rel="xet-auth"'
        names = {"X_Xet_Hash": "a" * 64, "ETag": '"etag"', "X_Repo_Commit": "1" * 40}
        body = b"" if request.method == "HEAD" else content
        send(connection, body=body, Content_Length=str(len(content)), Link=link, **names)

    with strange_hub(lambda _, connection: send(connection, 500)) as thief, strange_hub(answer) as hub:
        session(HubAccess(hub.endpoint, TOKEN))
        path = hf_hub_download("a/b", "f", endpoint=hub.endpoint, token=TOKEN, local_dir=tmp_path)
    assert Path(path).read_bytes() == content
    assert thief.requests == []


@pytest.mark.attack
@pytest.mark.parametrize("etag", ["../../../../escaped", "/tmp/escaped", "..", "a/b"])
@pytest.mark.parametrize("header", ["ETag", "X-Linked-ETag", "X-Repo-Commit"])
def test_no_header_becomes_a_path(tmp_path: Path, etag: str, header: str) -> None:
    def answer(request: Request, connection: socket.socket) -> None:
        names = {"ETag": '"good"', "X-Repo-Commit": "1" * 40, header: etag}
        body = b"" if request.method == "HEAD" else b"weights"
        send(connection, body=body, **{"Content-Length": "7", **names})

    with strange_hub(answer) as hub:
        session(HubAccess(hub.endpoint))
        cache = tmp_path / "a" / "b" / "cache"
        with suppress(OSError):
            hf_hub_download("a/b", "f", endpoint=hub.endpoint, cache_dir=cache, token=False)
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(path.is_relative_to(cache) and "escaped" not in path.name for path in found), found


@pytest.mark.attack
def test_a_body_without_end_ends_at_its_limit() -> None:
    with strange_hub(lambda _, connection: send_without_end(connection) and None) as hub:
        client = session(HubAccess(hub.endpoint))
        with pytest.raises(TooLargeError, match="is larger than 1000 bytes"):
            client.get(hub.endpoint, extensions=limited(1000))
        with pytest.raises(TooLargeError, match=f"is larger than {hub_session.MAX_BODY} bytes"):
            client.get(hub.endpoint)


def test_a_body_may_be_as_large_as_the_caller_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_session, "MAX_BODY", 100)
    monkeypatch.setattr(hub_session._Rules, "most", 100)
    with strange_hub(lambda _, connection: send(connection, body=b"x" * 200)) as hub:
        client = session(HubAccess(hub.endpoint))
        with pytest.raises(TooLargeError):
            client.get(hub.endpoint)
        with limited_to(200):
            assert len(client.get(hub.endpoint).content) == 200
        assert len(client.get(hub.endpoint, extensions=limited(200)).content) == 200


@pytest.mark.attack
def test_a_range_without_end_ends_where_it_was_to_end() -> None:
    def answer(_: Request, connection: socket.socket) -> None:
        head = "HTTP/1.1 206 So\r\nContent-Range: bytes 0-9/100\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode() + b"b\r\n0123456789X\r\n0\r\n\r\n")

    with strange_hub(answer) as hub, pytest.raises(TooLargeError, match="larger than 10 bytes"):
        session(HubAccess(hub.endpoint)).get(hub.endpoint, headers={"Range": "bytes=0-9"})


@pytest.mark.attack
@pytest.mark.parametrize("times", [1, 2])
def test_a_body_that_grows_when_it_is_decompressed_is_limited(times: int) -> None:
    bomb = b"\0" * (200 << 20)
    for _ in range(times):
        bomb = gzip.compress(bomb, 1)
    encodings = ", ".join(["gzip"] * times)
    with strange_hub(lambda _, connection: send(connection, body=bomb, Content_Encoding=encodings)) as hub:
        client = session(HubAccess(hub.endpoint))
        with pytest.raises((TooLargeError, RefusedAnswerError)):
            client.get(hub.endpoint, extensions=limited(1 << 20))


@pytest.mark.attack
def test_compressed_blocks_that_stand_for_nothing_are_limited() -> None:
    empty = gzip.compress(b"")[:10] + b"\0\0\0\xff\xff" * 10_000
    part, first = b"\0\0\0\xff\xff" * 10_000, [empty]

    def answer(_: Request, connection: socket.socket) -> None:
        head = "HTTP/1.1 200 So\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
        connection.sendall(head.encode())
        while True:
            body = first.pop() if first else part
            connection.sendall(f"{len(body):x}\r\n".encode() + body + b"\r\n")

    with strange_hub(answer) as hub, pytest.raises(TooLargeError):
        session(HubAccess(hub.endpoint)).get(hub.endpoint, extensions=limited(1000))


def test_compressed_bodies_are_read() -> None:
    body = json.dumps({"text": "x" * 3_000_000}).encode()
    sent = gzip.compress(body)
    with strange_hub(lambda _, connection: send(connection, body=sent, Content_Encoding="gzip")) as hub:
        assert session(HubAccess(hub.endpoint)).get(hub.endpoint).content == body


def test_an_encoding_that_was_not_asked_for_is_refused() -> None:
    with (
        strange_hub(lambda _, connection: send(connection, body=b"x", Content_Encoding="br")) as hub,
        pytest.raises(RefusedAnswerError, match="compressed as 'br'"),
    ):
        session(HubAccess(hub.endpoint)).get(hub.endpoint)
    assert hub.requests[0].headers["accept-encoding"] == "gzip"


@pytest.mark.attack
@pytest.mark.parametrize("dripping", ["the body", "the headers", "preliminary answers"])
def test_an_answer_that_comes_byte_by_byte_is_a_time_out(monkeypatch: pytest.MonkeyPatch, dripping: str) -> None:
    monkeypatch.setattr(hub_connection, "PATIENCE", 0.5)
    first = {"the body": b"\r\n", "the headers": b"X: ", "preliminary answers": b"\r\nHTTP/1.1 103 So\r\n\r\n"}

    def answer(_: Request, connection: socket.socket) -> None:
        status = 103 if dripping == "preliminary answers" else 200
        connection.sendall(f"HTTP/1.1 {status} So\r\nContent-Length: 1000\r\n".encode() + first[dripping])
        while True:
            connection.sendall(b"HTTP/1.1 103 So\r\n\r\n" if status == 103 else b"x")
            time.sleep(0.05)

    with strange_hub(answer) as hub:
        client, began = session(HubAccess(hub.endpoint)), time.monotonic()
        with pytest.raises(httpx2.ReadTimeout, match="less than 4 kB a second"):
            client.get(hub.endpoint)
        assert time.monotonic() - began < 5


def test_an_answer_may_begin_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_connection, "PATIENCE", 0.1)

    def answer(_: Request, connection: socket.socket) -> None:
        time.sleep(0.3)
        send(connection, body=b"late")

    with strange_hub(answer) as hub:
        assert session(HubAccess(hub.endpoint)).get(hub.endpoint).content == b"late"


def test_a_request_without_a_time_out_gets_one() -> None:
    with strange_hub(lambda _, connection: send(connection)) as hub:
        request = session(HubAccess(hub.endpoint)).get(hub.endpoint, timeout=None).request
        assert all(0 < seconds <= 310 for seconds in request.extensions["timeout"].values())


@pytest.mark.attack
def test_pages_that_link_in_a_circle_are_refused() -> None:
    def answer(request: Request, connection: socket.socket) -> None:
        after = "cursor=b" if request.path.endswith("cursor=a") else "cursor=a"
        send(connection, body=b"[]", Link=f'<{hub.endpoint}{request.path.partition("?")[0]}?{after}>; rel="next"')

    with strange_hub(answer) as hub:
        session(HubAccess(hub.endpoint))
        for _ in range(2):
            with pytest.raises(RefusedAnswerError, match="list without end"):
                list(HfApi(hub.endpoint, token=False).list_repo_tree("a/b", repo_type="dataset"))


@pytest.mark.attack
@pytest.mark.parametrize("body", [b"[1]", b'"text"', b"[" * 100_000, b"\xff", b"\0" * (2 << 20)])
def test_the_body_of_an_error_may_be_anything(body: bytes) -> None:
    with strange_hub(lambda _, connection: send(connection, 400, body)) as hub:
        session(HubAccess(hub.endpoint))
        with pytest.raises((HfHubHTTPError, TooLargeError)):
            HfApi(hub.endpoint, token=False).model_info("a/b")


def test_a_client_that_the_caller_configured_keeps_its_settings() -> None:
    set_client_factory(lambda: httpx2.Client(headers={"X-Company": "yes"}, follow_redirects=True))
    with strange_hub(lambda _, connection: send(connection)) as hub:
        session(HubAccess(hub.endpoint)).get(hub.endpoint)
        session(HubAccess(hub.endpoint)).get(hub.endpoint)
    assert [request.headers["x-company"] for request in hub.requests] == ["yes", "yes"]
    assert len(session().event_hooks["request"]) == 1


def test_the_endpoint_is_the_configured_one_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    with strange_hub(lambda _, connection: send(connection)) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        session(HubAccess(token="hf_default")).get(hub.endpoint, headers={"Authorization": "Bearer hf_default"})
    assert hub.requests[0].token == "Bearer hf_default"
