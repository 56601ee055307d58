"""A page in a browser on the same machine neither reads nor writes: neither under another name nor across sites."""

import asyncio
import socket
from pathlib import Path

import httpx2
import pytest

from localhub.process import HubProcess
from localhub.refusals import refuse
from localhub.web import Json
from workspace.border import Border

HOSTS = ["evil.com", "evil.com:8080", "127.0.0.1.evil.com", "localhost.evil.com", "", "[::1", "127.0.0.1@evil.com:1"]
OWN = ["127.0.0.1", "127.0.0.1:8080", "[::1]:8080", "10.0.0.5:80", "localhost:1", "LOCALHOST", socket.gethostname()]


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
    asyncio.run(border.wrap(Json({}))(scope, receive, send))  # type: ignore[arg-type]
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


@pytest.mark.attack
def test_the_running_server_refuses_before_anything_else_answers(shown: HubProcess, http: httpx2.Client) -> None:
    for path in ("/", "/api/models", "/__faults__", "/__requests__", "/zoo/sd/resolve/main/README.md"):
        assert http.get(path, headers={"Host": "evil.com"}).status_code == 421
        assert http.get(path, headers={"Origin": "https://evil.com"}).status_code == 403
    assert http.get("/").status_code == 200


@pytest.mark.attack
def test_faults_and_requests_need_the_secret(shown: HubProcess, http: httpx2.Client) -> None:
    for path in ("/__faults__", "/__requests__"):
        for headers in ({}, {"Authorization": "Bearer hf_room_writer"}, {"Authorization": "Bearer x"}):
            for method in ("GET", "DELETE", "POST"):
                assert http.request(method, path, json={"rules": []}, headers=headers).status_code == 404
    assert shown.faults() == []


def test_without_the_flag_nobody_controls_the_server(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub", control=False) as hub, pytest.raises(Exception, match="Not Found"):
        hub.faults()
