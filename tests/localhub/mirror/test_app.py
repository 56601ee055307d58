"""A mirror as clients see it."""

import concurrent.futures
import hashlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from itertools import repeat
from pathlib import Path

import httpx2
import pytest

from localhub.process import HubProcess
from tests.hubs import run_client
from tests.localhub.mirror.conftest import READER, WEIGHTS, WRITER, asked, away, commit_of
from tests.strange_hub import Request, StrangeHub, send, strange_hub

MakeMirror = Callable[..., HubProcess]
WEIGHTS_PATH = "zoo/model/resolve/main/unet/w.safetensors"
SNAPSHOT = """
import sys
from pathlib import Path
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
folder = Path(snapshot_download("zoo/model", revision=sys.argv[1] or None))
api = HfApi()
info = api.model_info("zoo/model", revision=sys.argv[1] or None, files_metadata=True)
print(sorted((str(p.relative_to(folder)), p.stat().st_size) for p in folder.rglob("*") if p.is_file()))
print(info.sha, info.downloads, info.likes, info.card_data.license, len(info.siblings))
print([row.path for row in api.list_repo_tree("zoo/model", recursive=True)])
print([row.path for row in api.get_paths_info("zoo/model", ["unet/w.safetensors", "absent"])])
print(api.file_exists("zoo/model", "config.json"), api.file_exists("zoo/model", "absent"))
print([one.id for one in api.list_models(sort="downloads", limit=1)])
print(Path(hf_hub_download("zoo/table", "data.csv", repo_type="dataset")).read_bytes())
"""


def test_an_unmodified_client_gets_from_a_mirror_what_it_gets_from_the_hub_also_when_that_is_away(
    upstream: HubProcess, mirror: HubProcess, tmp_path: Path
) -> None:
    commit = commit_of(upstream, "zoo/model")
    of_hub = run_client(upstream, SNAPSHOT, "", home=tmp_path / "hub")
    assert "'unet/w.safetensors', 1004000" in of_hub
    assert run_client(mirror, SNAPSHOT, "", home=tmp_path / "first") == of_hub
    away(upstream)
    for number, revision in enumerate(("", commit)):
        assert run_client(mirror, SNAPSHOT, revision, home=tmp_path / f"away-{number}") == of_hub


def test_a_file_of_a_commit_is_asked_for_once(upstream: HubProcess, mirror: HubProcess, client: httpx2.Client) -> None:
    url = f"{mirror.endpoint}/zoo/model/resolve/{commit_of(upstream, 'zoo/model')}/unet/w.safetensors"
    assert client.get(url).content == WEIGHTS
    before = asked(upstream)
    assert len([line for line in before if "w.safetensors" in line]) == 1
    assert client.get(url).content == WEIGHTS
    assert asked(upstream) == before
    # Equal contents of another repository too.
    other = f"{mirror.endpoint}/zoo/other/resolve/{commit_of(upstream, 'zoo/other')}/again.safetensors"
    assert client.get(other).content == WEIGHTS
    assert [line for line in asked(upstream) if "again.safetensors" in line] == []


def test_clients_that_ask_at_once_share_one_download_and_get_bytes_as_they_arrive(
    upstream: HubProcess, mirror: HubProcess
) -> None:
    upstream.fail("throttle", path="w.safetensors", bytes_per_second=500_000)
    seconds: list[float] = []

    def get(part: str | None) -> bytes:
        headers = {"Range": part} if part else {}
        with httpx2.stream("GET", f"{mirror.endpoint}/{WEIGHTS_PATH}", headers=headers, timeout=30) as answer:
            content, first = b"", 0.0
            for piece in answer.iter_raw():
                first = first or time.monotonic()
                content += piece
            seconds.append(time.monotonic() - first)
        return content

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        whole = [pool.submit(get, None) for _ in range(3)]
        part = pool.submit(get, "bytes=500000-500099")
        assert [one.result() for one in whole] == [WEIGHTS] * 3
        assert part.result() == WEIGHTS[500_000:500_100]
    assert len([line for line in asked(upstream) if line.startswith("GET") and "w.safetensors" in line]) == 1
    # From the first byte to the last one: it takes two seconds to arrive.
    assert max(seconds) > 1


@pytest.mark.parametrize("downloaded", [False, True])
def test_headers_and_ranges_are_those_of_the_hub(
    upstream: HubProcess, mirror: HubProcess, client: httpx2.Client, downloaded: bool
) -> None:
    if downloaded:
        client.get(f"{mirror.endpoint}/{WEIGHTS_PATH}")
    names = ("etag", "x-repo-commit", "x-linked-etag", "x-linked-size", "content-length", "content-range")
    for method, path, part in (
        ("HEAD", WEIGHTS_PATH, None),
        ("GET", WEIGHTS_PATH, "bytes=10-19"),
        ("GET", WEIGHTS_PATH, "bytes=-5"),
        ("GET", WEIGHTS_PATH, "bytes=1003990-"),
        ("GET", WEIGHTS_PATH, "bytes=2000000-"),
        ("HEAD", "zoo/model/resolve/main/config.json", None),
        ("GET", "zoo/model/resolve/main/config.json", None),
        ("GET", "zoo/model/resolve/main/empty", None),
        ("GET", "zoo/model/resolve/main/absent", None),
        ("GET", "zoo/model/resolve/no-branch/config.json", None),
        ("GET", "zoo/absent/resolve/main/config.json", None),
    ):
        headers = {"Range": part} if part else {}
        of_hub, of_mirror = (
            client.request(method, f"{hub.endpoint}/{path}", headers=headers) for hub in (upstream, mirror)
        )
        assert of_mirror.status_code == of_hub.status_code, path
        assert of_mirror.headers.get("x-error-code") == of_hub.headers.get("x-error-code")
        if of_hub.is_success:
            assert of_mirror.content == of_hub.content
            assert [of_mirror.headers.get(name) for name in names] == [of_hub.headers.get(name) for name in names]


def test_while_the_hub_is_away_what_is_not_there_is_an_error_that_says_so(
    upstream: HubProcess, mirror: HubProcess, client: httpx2.Client
) -> None:
    page = f"{mirror.endpoint}/api/models?sort=downloads&limit=1"
    before = client.get(page)
    client.get(f"{mirror.endpoint}/zoo/model/resolve/main/config.json")
    away(upstream)
    kept = client.get(page)
    assert (kept.json(), kept.headers["link"]) == (before.json(), before.headers["link"])
    assert mirror.endpoint in kept.headers["link"]
    assert client.get(f"{mirror.endpoint}/zoo/model/resolve/main/config.json").content == b"{}"
    for path in ("api/models?limit=2", "zoo/other/resolve/main/o.bin", "api/models/zoo/other", WEIGHTS_PATH):
        answer = client.get(f"{mirror.endpoint}/{path}")
        assert answer.status_code == 504, path
        assert upstream.endpoint in answer.json()["error"]


def test_what_a_token_opened_is_not_for_those_without_one(
    upstream: HubProcess, mirror: HubProcess, client: httpx2.Client, tmp_path: Path
) -> None:
    files = {name: f"{mirror.endpoint}/zoo/{name}/resolve/main/w.bin" for name in ("gated", "secret")}

    def get(name: str, token: str | None) -> tuple[int, bytes]:
        answer = client.get(files[name], headers={"Authorization": f"Bearer {token}"} if token else {})
        return answer.status_code, answer.content

    for name in files:
        content = f"{name} weights".encode()
        assert get(name, None)[0] == 401 if name == "gated" else get(name, None)[0] in (401, 404)
        assert get(name, READER) == (200, content)
        assert get(name, None)[0] in (401, 404)
        assert get(name, "hf_somebody_else")[0] in (401, 403, 404)
        assert get(name, READER) == (200, content)
        assert client.get(f"{mirror.endpoint}/api/models/zoo/{name}/tree/main").status_code == (
            200 if name == "gated" else 404
        )
    away(upstream)
    assert get("secret", READER) == (200, b"secret weights")
    assert get("secret", None)[0] in (401, 404)
    # Nobody can ask whether this one may.
    assert get("secret", WRITER)[0] == 504
    mirror.stop()
    text = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"zoo/gated" in text
    assert READER.encode() not in text


def test_tokens_of_the_mirror_itself_open_it_and_are_sent_nowhere(
    upstream: HubProcess, make_mirror: MakeMirror, client: httpx2.Client
) -> None:
    mirror = make_mirror(tokens=("carol=hf_own:read",))
    gated = f"{mirror.endpoint}/zoo/gated/resolve/main/w.bin"
    assert client.get(gated, headers={"Authorization": f"Bearer {READER}"}).status_code == 200
    away(upstream)
    assert client.get(gated, headers={"Authorization": "Bearer hf_own"}).content == b"gated weights"
    assert client.get(gated).status_code == 401


def test_a_token_goes_upstream_only_where_the_hub_refuses_without_one_and_to_no_other_host(
    make_mirror: MakeMirror, client: httpx2.Client
) -> None:
    commit, content = "1" * 40, b"weights"
    elsewhere: list[Request] = []

    def cdn(request: Request, connection: socket.socket) -> None:
        elsewhere.append(request)
        send(connection, 200, content)

    with strange_hub(cdn) as other:

        def answer(request: Request, connection: socket.socket) -> None:
            closed = "/secret" in request.path
            if closed and request.token is None:
                send(connection, 401, b"{}", X_Error_Code="RepoNotFound")
            elif "/api/" in request.path:
                sibling = {"rfilename": "w.bin", "size": len(content), "blobId": "a" * 40}
                sibling["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
                info = {"id": "org/x", "sha": commit, "siblings": [sibling], "private": closed}
                send(connection, 200, json.dumps(info).encode())
            else:
                send(connection, 302, b"", Location=f"{other.endpoint}/cdn")

        with strange_hub(answer) as hub:
            mirror = make_mirror(endpoint=hub.endpoint)
            headers = {"Authorization": "Bearer hf_mine"}
            for name in ("open", "secret"):
                got = client.get(f"{mirror.endpoint}/org/{name}/resolve/main/w.bin", headers=headers)
                # Equal contents are there already for the second one.
                assert got.content == content
            assert {request.token for request in hub.requests if "/open" in request.path} == {None}
            assert {request.token for request in hub.requests if "/secret" in request.path} == {None, "Bearer hf_mine"}
            assert elsewhere
            assert {request.token for request in elsewhere} == {None}


@pytest.mark.parametrize("kind", ["flip", "drop"])
def test_a_damaged_download_never_arrives_complete_and_is_made_again(
    upstream: HubProcess, mirror: HubProcess, client: httpx2.Client, kind: str
) -> None:
    upstream.fail(kind, path="w.safetensors", times=1, after=300_000)
    try:
        got = client.get(f"{mirror.endpoint}/{WEIGHTS_PATH}").content
    except httpx2.HTTPError:
        got = b""
    assert len(got) < len(WEIGHTS) or got == WEIGHTS
    assert client.get(f"{mirror.endpoint}/{WEIGHTS_PATH}").content == WEIGHTS
    upstream.clear_faults()
    assert list((mirror.directory / "partial").iterdir()) == []


def _hub_of(content: bytes, answers: Iterable[bytes]) -> AbstractContextManager[StrangeHub]:
    """A Hub whose file is `content` by its hash, and that answers with one of these after the other, slowly."""
    bodies = iter(answers)

    def answer(request: Request, connection: socket.socket) -> None:
        if "/api/" in request.path:
            lfs = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
            sibling = {"rfilename": "w.bin", "size": len(content), "blobId": "a" * 40, "lfs": lfs}
            send(connection, 200, json.dumps({"id": "org/x", "sha": "1" * 40, "siblings": [sibling]}).encode())
            return
        body = next(bodies)
        part = f"bytes 0-{len(body) - 1}/{len(body)}"
        connection.sendall(f"HTTP/1.1 206 So\r\nContent-Range: {part}\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        connection.sendall(body[:-1])
        time.sleep(0.7)
        connection.sendall(body[-1:])

    return strange_hub(answer)


@pytest.mark.attack
def test_the_last_bytes_of_a_damaged_file_are_not_passed_on(make_mirror: MakeMirror) -> None:
    right = b"x" * 300_000
    with _hub_of(right, repeat(b"y" + right[1:])) as hub:
        mirror = make_mirror(endpoint=hub.endpoint)
        got: list[bytes] = []
        with pytest.raises(httpx2.HTTPError):
            _collect(f"{mirror.endpoint}/org/x/resolve/main/w.bin", got)
        assert 0 < sum(map(len, got)) < len(right) - 1000


def test_a_client_that_has_bytes_of_a_damaged_download_does_not_get_the_end_of_the_right_one(
    make_mirror: MakeMirror,
) -> None:
    right = b"x" * 300_000
    with _hub_of(right, [b"y" + right[1:], right, right]) as hub:
        mirror = make_mirror(endpoint=hub.endpoint)
        url, got = f"{mirror.endpoint}/org/x/resolve/main/w.bin", list[bytes]()
        with pytest.raises(httpx2.HTTPError):
            _collect(url, got)
        assert b"".join(got).startswith(b"y")
        assert sum(map(len, got)) < len(right) - 1000
        again = list[bytes]()
        _collect(url, again)
        assert b"".join(again) == right


def _collect(url: str, got: list[bytes]) -> None:
    with httpx2.stream("GET", url, timeout=30) as answer:
        got.extend(answer.iter_raw())


def test_a_killed_mirror_continues_a_download_where_it_stopped(
    upstream: HubProcess, make_mirror: MakeMirror, client: httpx2.Client
) -> None:
    upstream.fail("stall", path="w.safetensors", times=1, after=600_000, seconds=60)
    mirror = make_mirror()
    thread = threading.Thread(target=lambda: _ignore(client, f"{mirror.endpoint}/{WEIGHTS_PATH}"), daemon=True)
    thread.start()
    partial = mirror.directory / "partial"
    while not any(path.stat().st_size >= 500_000 for path in partial.glob("*")):
        time.sleep(0.01)
    assert mirror._process is not None
    mirror._process.kill()
    thread.join()
    again = make_mirror()
    with httpx2.Client(trust_env=False, timeout=30) as other:
        assert other.get(f"{again.endpoint}/{WEIGHTS_PATH}").content == WEIGHTS
    # The log has a request when it ends, so the interrupted one may be the last.
    starts = [int(row["range"][6:].partition("-")[0]) for row in upstream.requests() if "w.safetensors" in row["path"]]
    assert max(starts) >= 500_000


def _ignore(client: httpx2.Client, url: str) -> None:
    try:
        client.get(url)
    except httpx2.HTTPError:
        return


def test_a_limit_of_requests_is_passed_on_and_one_failing_address_is_no_outage(
    upstream: HubProcess, mirror: HubProcess, client: httpx2.Client
) -> None:
    upstream.fail("status", path="/zoo/other", status=429, times=1, headers={"Retry-After": "200"})
    limited = client.get(f"{mirror.endpoint}/api/models/zoo/other")
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "200")
    upstream.fail("status", path="/zoo/other", status=500)
    assert client.get(f"{mirror.endpoint}/api/models/zoo/other").status_code == 504
    assert client.get(f"{mirror.endpoint}/api/models/zoo/model").status_code == 200


def test_nobody_writes_to_a_mirror(mirror: HubProcess, client: httpx2.Client) -> None:
    headers = {"Authorization": "Bearer hf_any"}
    made = client.post(f"{mirror.endpoint}/api/repos/create", json={"name": "a/b", "type": "model"}, headers=headers)
    assert made.status_code == 403
    assert "mirror" in made.json()["error"]
    assert (
        client.request("DELETE", f"{mirror.endpoint}/api/repos/delete", json={"name": "zoo/model"}).status_code == 403
    )


def test_a_renamed_repository_is_found_under_its_new_name(make_mirror: MakeMirror, client: httpx2.Client) -> None:
    def answer(request: Request, connection: socket.socket) -> None:
        if "/old" in request.path:
            send(connection, 307, b"", Location=request.path.replace("/old", "/org/new").replace("org/org", "org"))
        else:
            sibling = {"rfilename": "a.txt", "size": 0, "blobId": "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"}
            send(connection, 200, json.dumps({"id": "org/new", "sha": "2" * 40, "siblings": [sibling]}).encode())

    with strange_hub(answer) as hub:
        mirror = make_mirror(endpoint=hub.endpoint)
        for path, new in (
            ("/org/old/resolve/main/a.txt", "/org/new/resolve/main/a.txt"),
            ("/api/models/org/old?blobs=true", "/api/models/org/new?blobs=true"),
            ("/api/models/old", "/api/models/org/new"),
        ):
            moved = client.get(f"{mirror.endpoint}{path}")
            assert (moved.status_code, moved.headers["location"]) == (307, new)


#: What no Hub says of a repository.
_STRANGE = (
    b"<html>",
    b"[]",
    b"{" * 100_000,
    b'{"sha": "main", "siblings": []}',
    *(
        json.dumps({"sha": "3" * 40, "siblings": [{"rfilename": "x", "size": 1, "blobId": "a" * 40} | row]}).encode()
        for row in (
            {"rfilename": "../x"},
            {"size": -1},
            {"size": "1"},
            {"blobId": "../../etc"},
            {"lfs": {"sha256": "/"}},
        )
    ),
)


@pytest.mark.attack
def test_an_answer_that_no_hub_gives_is_refused_and_nothing_of_it_is_kept(
    make_mirror: MakeMirror, client: httpx2.Client
) -> None:
    def answer(request: Request, connection: socket.socket) -> None:
        send(connection, 200, _STRANGE[int(request.path.split("/")[4].partition("?")[0])])

    with strange_hub(answer) as hub:
        mirror = make_mirror(endpoint=hub.endpoint)
        for number in range(len(_STRANGE)):
            got = client.get(f"{mirror.endpoint}/org/{number}/resolve/main/x")
            assert got.status_code in (400, 502), number
        assert not list(mirror.directory.glob("models/*/*/repo.json"))


@pytest.mark.attack
def test_a_redirect_to_another_host_is_no_answer_of_the_api(make_mirror: MakeMirror, client: httpx2.Client) -> None:
    with strange_hub(lambda _, connection: send(connection, 302, b"", Location="http://192.0.2.1/api/models")) as hub:
        mirror = make_mirror(endpoint=hub.endpoint)
        assert client.get(f"{mirror.endpoint}/api/models").status_code == 502


def test_files_that_were_read_least_recently_give_way_and_too_large_ones_are_refused(
    make_mirror: MakeMirror, client: httpx2.Client
) -> None:
    mirror = make_mirror("--max-disk", "1005KB")
    blobs = mirror.directory / "blobs"
    assert client.get(f"{mirror.endpoint}/{WEIGHTS_PATH}").content == WEIGHTS
    (kept,) = blobs.glob("*/*")
    # In use until a minute ago.
    small = f"{mirror.endpoint}/zoo/model/resolve/main/README.md"
    for path in blobs.glob("*/*"):
        path.with_name("f" * 64).write_bytes(b"x" * 999)
        os.utime(path.with_name("f" * 64), (1, 1))
    assert client.get(small).status_code == 200
    assert [path.name for path in blobs.glob("*/*") if path.name == "f" * 64] == []
    assert kept.exists()
    tiny = make_mirror("--max-disk", "1KB", directory=mirror.directory.with_name("tiny"))
    refused = client.get(f"{tiny.endpoint}/{WEIGHTS_PATH}")
    assert refused.status_code == 507
    assert "--max-disk 1.0 kB" in refused.json()["error"]
