"""Each fault, with a client that does not retry: a socket."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx2
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from localhub.faults import Rule
from localhub.process import HubProcess
from localhub.request_errors import BadRequest
from tests.localhub.conftest import WEIGHTS
from workspace.errors import CommunityForensicsError

FILE = "/zoo/sd/resolve/main/unet/diffusion.safetensors"


def fetch(hub: HubProcess, path: str = FILE) -> tuple[dict[str, str], bytes]:
    """Headers and the body up to the end of the connection; raises `ConnectionResetError` if it was reset."""
    with socket.create_connection(tuple(urlsplit(hub.endpoint).netloc.split(":")), timeout=20) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while piece := sock.recv(1 << 16):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return {"status": lines[0], **dict(line.lower().split(": ", 1) for line in lines[1:])}, body


def test_without_faults_a_file_is_sent_whole(shown: HubProcess) -> None:
    assert fetch(shown)[1] == WEIGHTS


def test_a_dropped_connection_truncates_the_body_under_an_intact_length(shown: HubProcess) -> None:
    shown.fail("drop", path="diffusion", after=1_500_000, times=1)
    headers, body = fetch(shown)
    assert headers["content-length"] == str(len(WEIGHTS))
    assert body == WEIGHTS[:1_500_000]
    assert fetch(shown)[1] == WEIGHTS


def test_a_drop_before_the_first_byte_sends_nothing(shown: HubProcess) -> None:
    shown.fail("drop")
    assert fetch(shown) == ({"status": ""}, b"")


def test_a_reset_is_a_reset(shown: HubProcess) -> None:
    shown.fail("reset", after=0)
    with pytest.raises(ConnectionResetError):
        fetch(shown)


def test_a_flipped_byte_changes_content_and_nothing_else(shown: HubProcess) -> None:
    shown.fail("flip", path="diffusion", after=2_000_000)
    headers, body = fetch(shown)
    assert headers["content-length"] == str(len(body)) == str(len(WEIGHTS))
    assert [n for n, (got, sent) in enumerate(zip(body, WEIGHTS, strict=True)) if got != sent] == [2_000_000]


def test_a_stall_delays_the_rest_of_the_body(shown: HubProcess) -> None:
    shown.fail("stall", seconds=0.4, after=100)
    started = time.monotonic()
    assert fetch(shown)[1] == WEIGHTS
    assert time.monotonic() - started >= 0.4


def test_a_throttled_body_is_sent_slowly(shown: HubProcess) -> None:
    shown.fail("throttle", bytes_per_second=len(WEIGHTS) / 0.5)
    started = time.monotonic()
    assert fetch(shown)[1] == WEIGHTS
    assert time.monotonic() - started >= 0.45


def test_throttled_bodies_share_one_line(shown: HubProcess) -> None:
    shown.fail("throttle", bytes_per_second=len(WEIGHTS) / 0.3)
    started = time.monotonic()
    with ThreadPoolExecutor(3) as pool:
        assert [body for _, body in pool.map(lambda _: fetch(shown), range(3))] == [WEIGHTS] * 3
    assert time.monotonic() - started >= 0.85


def test_a_status_replaces_the_answer(shown: HubProcess) -> None:
    shown.fail("status", status=429, headers={"Retry-After": "7", "RateLimit": '"api";r=0;t=7'}, times=1)
    headers, _ = fetch(shown)
    assert (headers["status"], headers["retry-after"]) == ("HTTP/1.1 429 Too Many Requests", "7")


def test_a_page_of_html_replaces_the_answer(shown: HubProcess) -> None:
    shown.fail("html")
    headers, body = fetch(shown)
    assert headers["status"] == "HTTP/1.1 200 OK"
    assert body.startswith(b"<!doctype html>")


def test_headers_alone_can_be_stalled_and_dropped(shown: HubProcess, http: httpx2.Client) -> None:
    shown.fail("drop", method="HEAD")
    with pytest.raises(httpx2.TransportError):
        http.head(FILE)
    assert http.get("/api/models/zoo/sd").status_code == 200


def test_the_client_retries_as_with_the_real_hub(shown: HubProcess) -> None:
    api = HfApi(endpoint=shown.endpoint)
    shown.fail("status", path="^/api/models\\?", status=503, times=2, headers={"Retry-After": "0"})
    assert len(list(api.list_models(search="small"))) == 12
    shown.fail("status", path="^/api/models/zoo/sd", status=503, times=1)
    with pytest.raises(HfHubHTTPError):
        api.model_info("zoo/sd")
    assert [(rule["matched"], rule["applied"]) for rule in shown.faults()] == [(3, 2), (1, 1)]


def test_rules_apply_to_matching_requests_in_order(shown: HubProcess, http: httpx2.Client) -> None:
    shown.fail("status", method="^GET$", path="search=small", skip=1, times=2)
    asked = [http.get("/api/models?search=small").status_code for _ in range(5)]
    assert asked == [200, 503, 503, 200, 200]
    assert http.get("/api/models").status_code == 200
    shown.clear_faults()
    assert shown.faults() == []


def test_the_same_seed_gives_the_same_faults() -> None:
    def applies(seed: int) -> list[bool]:
        rule = Rule.parse({"kind": "reset", "probability": 0.5, "seed": seed})
        return [rule.applies("GET", "/") for _ in range(50)]

    assert applies(1) == applies(1) != applies(2)
    assert 10 < sum(applies(1)) < 40


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"kind": "nonsense"},
        {"kind": "drop", "when": 1},
        {"kind": "drop", "path": "("},
        {"kind": "drop", "after": -1},
        {"kind": "drop", "after": "x"},
        {"kind": "drop", "probability": 2},
        {"kind": "status", "status": 7},
    ],
)
def test_an_invalid_rule_is_refused(rule: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        Rule.parse(rule)


def test_an_invalid_fault_is_an_error_of_the_caller(shown: HubProcess) -> None:
    with pytest.raises(CommunityForensicsError, match="kind must be one of"):
        shown.fail("nonsense")
