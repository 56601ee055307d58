import gzip
import json
import socket
import time
from collections.abc import Iterator

import pytest
from huggingface_hub import constants
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
from huggingface_hub.utils.sha import git_hash

from crawler.hub.client import ForbiddenError, Hub, NotFoundError, UnavailableError
from localhub.process import HubProcess
from tests.crawler.servers import serving
from tests.strange_hub import Request, send, send_without_end, strange_hub
from workspace.errors import HubError
from workspace.hub_access import HubAccess
from workspace.hub_session import TooLargeError

MODEL = "acme/base"


@pytest.fixture
def hub(wild_hub: HubProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubProcess]:
    """The shared Hub without faults before and after; the timeout is short."""
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 2.0)
    wild_hub.clear_requests()
    yield wild_hub
    wild_hub.clear_faults()


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 429, "headers": {"Retry-After": "0"}},
        {"kind": "reset"},
        {"kind": "drop", "after": 10},
        {"kind": "stall", "seconds": 6},
    ],
    ids=lambda fault: str(fault["kind"]) + str(fault.get("status", "")),
)
def test_a_temporary_error_is_retried(hub: HubProcess, fault: dict[str, object]) -> None:
    hub.fail(**fault, path="/api/models/", times=1)  # type: ignore[arg-type]
    assert Hub(HubAccess(hub.endpoint)).model_info(MODEL, None)["id"] == MODEL
    assert hub.faults()[0]["applied"] == 1


def test_a_file_with_another_hash_is_requested_again(hub: HubProcess) -> None:
    client = Hub(HubAccess(hub.endpoint))
    info = client.model_info(MODEL, None)
    oid = next(row["blobId"] for row in info["siblings"] if row["rfilename"] == "model_index.json")
    hub.fail("flip", path="/resolve/", after=20, times=1)
    content = client.small_file(MODEL, info["sha"], "model_index.json", 10_000, git_oid=oid)
    assert json.loads(content)["_class_name"] == "StableDiffusionPipeline"
    assert git_hash(content) == oid
    assert hub.faults()[0]["applied"] == 1


def test_the_wait_that_the_hub_requests_is_kept(hub: HubProcess) -> None:
    hub.fail("status", status=429, headers={"Retry-After": "1"}, path="/api/models/", times=1)
    began = time.monotonic()
    Hub(HubAccess(hub.endpoint)).model_info(MODEL, None)
    assert time.monotonic() - began >= 1


def test_after_the_last_request_of_a_window_all_threads_wait() -> None:
    headers = {"RateLimit": '"api";r=0;t=3'}
    with serving(lambda _path: (200, headers, b"{}")) as endpoint:
        client = Hub(HubAccess(endpoint))
        began = time.monotonic()
        client.model_info(MODEL, None)
        client.small_file(MODEL, "main", "x", 10)  # files have their own limit
        assert time.monotonic() - began < 2.9
        client.model_info(MODEL, None)
        # One second more: the rest of the window may be rounded down.
        assert time.monotonic() - began >= 3


def test_a_missing_model_is_requested_once(hub: HubProcess) -> None:
    with pytest.raises(RepositoryNotFoundError):
        Hub(HubAccess(hub.endpoint)).model_info("acme/nowhere", None)
    assert len([request for request in hub.requests() if "/nowhere" in request["path"]]) == 1


def test_a_404_without_a_code_is_final() -> None:
    with serving(lambda _path: (404, {}, b"")) as endpoint, pytest.raises(NotFoundError):
        Hub(HubAccess(endpoint)).model_info(MODEL, None)


def test_gated_files_are_final(hub: HubProcess) -> None:
    client = Hub(HubAccess(hub.endpoint))
    revision = client.model_info("acme/gated", None)["sha"]
    with pytest.raises(GatedRepoError):
        client.small_file("acme/gated", revision, "model_index.json", 10_000)


def test_a_file_above_the_limit_is_not_read(hub: HubProcess) -> None:
    client = Hub(HubAccess(hub.endpoint))
    with pytest.raises(TooLargeError):
        client.small_file(MODEL, client.model_info(MODEL, None)["sha"], "model_index.json", 100)


def test_an_endpoint_without_a_server_fails_soon_and_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(UnavailableError, match="cannot be reached") as error:
        list(Hub(HubAccess(f"http://127.0.0.1:{port}")).models({}))
    assert time.monotonic() - began < 10
    assert "\n" not in str(error.value)


def test_an_endpoint_that_is_not_a_url_is_named() -> None:
    with pytest.raises(UnavailableError, match=r"huggingface\.co cannot be reached"):
        list(Hub(HubAccess("huggingface.co")).models({}))


def test_the_token_and_the_endpoint_are_those_of_the_caller() -> None:
    assert Hub(HubAccess("http://127.0.0.1:9/", "hf_secret")).endpoint == "http://127.0.0.1:9"
    assert Hub(HubAccess(token="hf_secret")).has_token
    assert not Hub(HubAccess()).has_token


@pytest.mark.parametrize("body", [b"<html><body>Sign in</body></html>", b"{}", b"[" * 100_000])
def test_a_server_that_is_not_a_hub_is_named(body: bytes) -> None:
    with serving(lambda _path: (200, {}, body)) as endpoint, pytest.raises(HubError, match=endpoint):
        list(Hub(HubAccess(endpoint)).models({}))


def test_a_refused_token_is_named() -> None:
    headers = {"X-Error-Message": "Invalid credentials in Authorization header"}
    with serving(lambda _path: (401, headers, b"")) as endpoint, pytest.raises(UnavailableError, match="token"):
        list(Hub(HubAccess(endpoint)).models({}))


def test_a_window_that_opens_late_costs_no_try() -> None:
    answers = [429] * 3 + [200]
    headers = {"RateLimit": '"api";r=0;t=0', "RateLimit-Policy": '"fixed window";"api";q=1;w=1'}
    with serving(lambda _path: ((answers.pop(0) if len(answers) > 1 else 200), headers, b"{}")) as endpoint:
        client = Hub(HubAccess(endpoint))
        client.model_info(MODEL, None)
    assert answers == [200]


def test_a_file_that_is_refused_to_the_token_is_no_end() -> None:
    answer = (403, {"X-Error-Message": "Not with this token"}, b"")
    with serving(lambda _path: answer) as endpoint:
        with pytest.raises(ForbiddenError, match="status 403: Not with this token"):
            Hub(HubAccess(endpoint, "hf_fine")).small_file(MODEL, "main", "README.md", 10)
        with pytest.raises(UnavailableError, match="refused the token"):
            Hub(HubAccess(endpoint, "hf_fine")).model_info(MODEL, None)
        with pytest.raises(UnavailableError):
            Hub(HubAccess(endpoint)).small_file(MODEL, "main", "README.md", 10)


@pytest.mark.parametrize("status", [404, 451])
def test_a_server_without_a_list_of_models_is_named(status: int) -> None:
    with (
        serving(lambda _path: (status, {}, b"")) as endpoint,
        pytest.raises(UnavailableError, match="its list of models"),
    ):
        list(Hub(HubAccess(endpoint)).models({}))


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[1]", b'{"error": 3}', b'{"error": "  "}', b'{"error": "too\\nbad"}']
)
def test_what_the_hub_says_about_an_error_is_quoted_in_one_line(body: bytes) -> None:
    with serving(lambda _path: (501, {}, body)) as endpoint, pytest.raises(HubError, match="status 501") as error:
        Hub(HubAccess(endpoint)).model_info(MODEL, None)
    assert str(error.value).endswith("status 501: too bad" if b"too" in body else "status 501")


def test_stop_ends_the_wait_for_a_retry() -> None:
    with serving(lambda _path: (503, {"Retry-After": "60"}, b"")) as endpoint:
        client = Hub(HubAccess(endpoint))
        client.stop()
        began = time.monotonic()
        with pytest.raises(HubError):
            client.model_info(MODEL, None)
        assert time.monotonic() - began < 5


@pytest.mark.attack
def test_a_list_that_continues_at_another_host_is_not_continued_there() -> None:
    def answer(_: Request, connection: socket.socket) -> None:
        send(connection, body=b"[]", Link=f'<{thief.endpoint}/api/models?cursor=x>; rel="next"')

    with (
        strange_hub(lambda _, connection: send(connection, body=b"[]")) as thief,
        strange_hub(answer) as hub,
        pytest.raises(HubError, match="continues its list at another host"),
    ):
        list(Hub(HubAccess(hub.endpoint, "hf_secret")).models({}))
    assert [request.token for request in hub.requests] == ["Bearer hf_secret"]
    assert thief.requests == []


def test_a_mirror_may_name_the_pages_of_the_hub_that_it_copies() -> None:
    def answer(request: Request, connection: socket.socket) -> None:
        after = '<https://huggingface.co/api/models?cursor=x>; rel="next"'
        send(connection, body=b"[1]", **({} if "cursor" in request.path else {"Link": after}))

    with strange_hub(answer) as hub:
        assert list(Hub(HubAccess(hub.endpoint)).models({})) == [[1], [1]]
    assert [request.path for request in hub.requests] == ["/api/models", "/api/models?cursor=x"]


@pytest.mark.attack
@pytest.mark.parametrize("after", ["?cursor=a", ""])
def test_a_list_that_repeats_ends(after: str) -> None:
    with strange_hub(
        lambda _, connection: send(connection, body=b"[]", Link=f'</api/models{after}>; rel="next"')
    ) as hub:
        with pytest.raises(HubError, match="list without end"):
            list(Hub(HubAccess(hub.endpoint)).models({}))
        assert len(hub.requests) <= 2


@pytest.mark.attack
def test_a_list_of_ever_new_pages_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workspace.hub_session.MAX_PAGES", 5)

    def answer(_: Request, connection: socket.socket) -> None:
        send(connection, body=b"[]", Link=f'</api/models?cursor={len(hub.requests)}>; rel="next"')

    with strange_hub(answer) as hub, pytest.raises(HubError, match="list without end"):
        list(Hub(HubAccess(hub.endpoint)).models({}))
    assert len(hub.requests) == 6


@pytest.mark.attack
@pytest.mark.parametrize("growing", [True, False])
def test_a_page_that_is_too_large_is_one_line(growing: bool) -> None:
    def answer(_: Request, connection: socket.socket) -> None:
        if growing:
            send(connection, body=gzip.compress(b"[" + b" " * (100 << 20), 1), Content_Encoding="gzip")
        else:
            send_without_end(connection, b" " * 65_536)

    with strange_hub(answer) as hub, pytest.raises(UnavailableError, match=r"does not give its list .*larger than"):
        list(Hub(HubAccess(hub.endpoint)).models({}))


@pytest.mark.attack
def test_a_description_that_is_too_large_costs_one_model() -> None:
    def answer(_: Request, connection: socket.socket) -> None:
        send_without_end(connection, b" " * 65_536)

    with strange_hub(answer) as hub, pytest.raises(TooLargeError):
        Hub(HubAccess(hub.endpoint)).model_info(MODEL, None)
