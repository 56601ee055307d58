"""A mirror of a Hub that sends what HTTP cannot pass on, and clients that ask for more than a disk holds."""

import json
import socket
from pathlib import Path

import httpx2
import pytest

from localhub.mirror.answers import Answers
from localhub.mirror.upstream import Answer
from tests.localhub.mirror.test_app import MakeMirror
from tests.strange_hub import Request, send, strange_hub

pytestmark = pytest.mark.attack


@pytest.mark.parametrize(
    ("path", "status", "headers"),
    [
        ("/api/models?next", 200, {"Link": '</api/models?cursor=你>; rel="next"'}),
        ("/api/models?next", 200, {"Link": '</api/models?cursor=\x85\ud83d>; rel="next"'}),
        ("/api/models/old", 307, {"Location": "/api/models/org/你"}),
        ("/api/models/org/x", 429, {"Retry_After": "你"}),
        ("/api/models/org/x", 403, {"X_Error_Message": "你\x1b[31m", "X_Error_Code": "你"}),
    ],
)
def test_headers_that_cannot_be_passed_on_are_no_error_of_the_mirror(
    path: str, status: int, headers: dict[str, str], make_mirror: MakeMirror, client: httpx2.Client
) -> None:
    def answer(_: Request, connection: socket.socket) -> None:
        fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {status} So\r\nConnection: close\r\nContent-Length: 2\r\n{fields}\r\n[]"
        connection.sendall(head.encode("utf-8", "surrogatepass"))

    with strange_hub(answer) as hub:
        mirror = make_mirror(endpoint=hub.endpoint)
        got = client.get(f"{mirror.endpoint}{path}")
    assert got.status_code in (200, 307, 403, 429, 502), got.text


@pytest.mark.parametrize("value", ["\ud800", float("nan"), "\x1b[31m"])
def test_values_that_no_text_holds_are_passed_on_as_they_are(
    value: object, make_mirror: MakeMirror, client: httpx2.Client
) -> None:
    text = json.dumps([{"id": value}]).encode()
    with strange_hub(lambda _, connection: send(connection, 200, text)) as hub:
        mirror = make_mirror(endpoint=hub.endpoint)
        for _ in range(2):
            assert client.get(f"{mirror.endpoint}/api/models").content == text.replace(b": ", b":")


def test_any_number_of_questions_fills_no_disk(tmp_path: Path) -> None:
    answers = Answers(tmp_path, 10_000)
    for number in range(100):
        answers.keep(f"/api/models?x={number}", Answer(["x" * 1000]))
        assert sum(path.stat().st_size for path in tmp_path.glob("*/*")) <= 10_000
    assert answers.kept("/api/models?x=99") == Answer(["x" * 1000])
    assert answers.kept("/api/models?x=0") is None
    again = Answers(tmp_path, 10_000)
    for number in range(20):
        again.keep(f"/api/datasets?x={number}", Answer(["x" * 1000]))
    assert sum(path.stat().st_size for path in tmp_path.glob("*/*")) <= 10_000
    Answers(tmp_path, 10_000).keep("/api/models?large", Answer(["x" * 20_000]))
    assert len(list(tmp_path.glob("*/*"))) == 1
