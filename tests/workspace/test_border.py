"""A page in a browser on the same machine neither reads nor writes: neither under another name nor across sites."""

import asyncio
import socket

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp

from workspace.border import Border

HOSTS = ["evil.com", "evil.com:8080", "127.0.0.1.evil.com", "localhost.evil.com", "", "[::1", "127.0.0.1@evil.com:1"]
OWN = ["127.0.0.1", "127.0.0.1:8080", "[::1]:8080", "10.0.0.5:80", "localhost:1", "LOCALHOST", socket.gethostname()]


def refuse(status: int, host: str) -> ASGIApp:
    return PlainTextResponse(f"not for {host}", status)


def status(headers: dict[str, str], border: Border = Border(refuse)) -> int:
    """The status of a request with these headers."""
    statuses: list[int] = []

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(int(str(message["status"])))

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "headers": raw}
    asyncio.run(border.wrap(PlainTextResponse())(scope, receive, send))  # type: ignore[arg-type]
    return statuses[0]


@pytest.mark.attack
@pytest.mark.parametrize("host", HOSTS)
def test_a_name_that_was_pointed_here_is_refused(host: str) -> None:
    assert status({"Host": host}) == 421


@pytest.mark.parametrize("host", OWN)
def test_its_own_names_and_any_address_are_answered(host: str) -> None:
    assert status({"Host": host}) == 200


def test_a_server_can_have_further_names() -> None:
    assert status({"Host": "login1:8080"}) == 421
    assert status({"Host": "login1:8080"}, Border(refuse, ["login1"])) == 200


@pytest.mark.attack
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.com"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_request_from_another_site_is_refused(headers: dict[str, str]) -> None:
    assert status({"Host": "localhost:8080", **headers}) == 403


@pytest.mark.parametrize(
    "headers", [{}, {"Origin": "http://localhost:8080"}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}]
)
def test_a_client_and_a_page_of_its_own_are_answered(headers: dict[str, str]) -> None:
    assert status({"Host": "localhost:8080", **headers}) == 200
