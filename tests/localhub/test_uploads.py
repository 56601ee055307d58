import base64
import hashlib
import json
import time
from collections.abc import Iterator

import httpx2
import pytest

from localhub.process import HubProcess
from localhub.store import Store
from tests.hubs import fill
from tests.localhub.conftest import WEIGHTS

NDJSON = {"Content-Type": "application/x-ndjson"}
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture
def http(hub: HubProcess) -> Iterator[httpx2.Client]:
    """A client, and a repository for each test."""
    store = Store(hub.directory)
    if store.exists("model", "zoo/sd"):
        store.delete("model", "zoo/sd")
    store.blobs.path(SHA256).unlink(missing_ok=True)
    fill(hub.directory, "zoo/sd", {"old.bin": b"old", "folder/a": b"a"})
    with httpx2.Client(base_url=hub.endpoint, trust_env=False, verify=False) as client:
        yield client


def batch(http: httpx2.Client, size: int = len(WEIGHTS), oid: str = SHA256) -> dict[str, dict[str, dict[str, str]]]:
    asked = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": oid, "size": size}]}
    answer = http.post("/zoo/sd.git/info/lfs/objects/batch", json=asked)
    found: dict[str, dict[str, dict[str, str]]] = answer.json()["objects"][0]
    return found


def commit(
    http: httpx2.Client, *lines: tuple[str, dict[str, object]] | bytes, revision: str = "main"
) -> httpx2.Response:
    body = b"\n".join(
        line if isinstance(line, bytes) else json.dumps({"key": line[0], "value": line[1]}).encode() for line in lines
    )
    return http.post(f"/api/models/zoo/sd/commit/{revision}", content=body, headers=NDJSON)


def files(http: httpx2.Client) -> dict[str, int]:
    siblings = http.get("/api/models/zoo/sd?blobs=1").json()["siblings"]
    return {sibling["rfilename"]: sibling["size"] for sibling in siblings}


def test_a_large_file_goes_through_batch_put_verify_and_commit(http: httpx2.Client) -> None:
    actions = batch(http)["actions"]
    assert http.put(actions["upload"]["href"], content=WEIGHTS).status_code == 200
    assert http.post(actions["verify"]["href"], json={"oid": SHA256, "size": len(WEIGHTS)}).status_code == 200
    done = commit(
        http,
        ("header", {"summary": "s", "description": "d"}),
        ("lfsFile", {"path": "w.bin", "oid": SHA256, "size": len(WEIGHTS)}),
    )
    assert done.json()["commitOid"] == http.get("/api/models/zoo/sd").json()["sha"]
    assert http.get("/zoo/sd/resolve/main/w.bin").content == WEIGHTS
    assert http.get("/api/models/zoo/sd/commits/main").json()[0]["title"] == "s"
    assert "actions" not in batch(http), "what is here need not be sent again"


@pytest.mark.parametrize("spoiled", [WEIGHTS[:-1], WEIGHTS + b"x", b"x" + WEIGHTS[1:], b""])
def test_an_upload_that_differs_from_its_announcement_is_refused(
    http: httpx2.Client, hub: HubProcess, spoiled: bytes
) -> None:
    actions = batch(http)["actions"]

    def in_pieces() -> Iterator[bytes]:
        yield spoiled

    assert http.put(actions["upload"]["href"], content=spoiled).status_code == 400
    assert http.put(actions["upload"]["href"], content=in_pieces()).status_code == 400, "without a Content-Length"
    assert http.post(actions["verify"]["href"], json={"oid": SHA256, "size": len(WEIGHTS)}).status_code == 404
    assert Store(hub.directory).blobs.size(SHA256) is None


def test_an_interrupted_upload_leaves_nothing(http: httpx2.Client, hub: HubProcess) -> None:
    href = batch(http)["actions"]["upload"]["href"]

    def breaking() -> Iterator[bytes]:
        yield WEIGHTS[:2_000_000]
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        http.put(href, content=breaking(), headers={"Content-Length": str(len(WEIGHTS))})
    assert http.get("/api/models/zoo/sd").status_code == 200
    assert batch(http)["actions"]
    # The server notices it later.
    for _ in range(100):
        left = [path for path in hub.directory.rglob("*.partial") if path.is_file()]
        if not left:
            return
        time.sleep(0.1)
    raise AssertionError(left)


def test_an_upload_address_is_for_one_content_only(http: httpx2.Client) -> None:
    href = batch(http)["actions"]["upload"]["href"]
    other = hashlib.sha256(b"other").hexdigest()
    assert http.put(href.replace(SHA256, other), content=b"other").status_code == 403
    assert http.put(f"/lfs-storage/{other}", content=b"other").status_code == 403


@pytest.mark.parametrize(
    "item", [{"oid": "../../x", "size": 1}, {"oid": "A" * 64, "size": 1}, {"oid": "a" * 64, "size": -1}]
)
def test_a_batch_has_an_error_for_each_invalid_object(http: httpx2.Client, item: dict[str, object]) -> None:
    answer = http.post("/zoo/sd.git/info/lfs/objects/batch", json={"operation": "upload", "objects": [item]})
    assert answer.json()["objects"][0]["error"]["code"] == 422


def test_files_are_not_downloaded_through_lfs(http: httpx2.Client) -> None:
    wanted = {"operation": "download", "objects": [{"oid": SHA256, "size": 5}]}
    answer = http.post("/zoo/sd.git/info/lfs/objects/batch", json=wanted)
    assert answer.status_code == 400
    assert "resolve address" in answer.json()["error"]


@pytest.mark.parametrize(
    ("header", "title", "message"),
    [
        ({"summary": "s", "description": "d\ne"}, "s", "d\ne"),
        ({"summary": "s", "description": ""}, "s", ""),
        ({"summary": "s"}, "s", ""),
        ({"summary": "", "description": "d"}, "d", ""),
    ],
)
def test_a_commit_has_a_title_and_a_message(
    http: httpx2.Client, header: dict[str, object], title: str, message: str
) -> None:
    assert commit(http, ("header", header), inline("new.txt", b"new")).status_code == 200
    newest = http.get("/api/models/zoo/sd/commits/main").json()[0]
    assert (newest["title"], newest["message"]) == (title, message)


def inline(path: str, content: bytes) -> tuple[str, dict[str, object]]:
    return "file", {"path": path, "content": base64.b64encode(content).decode(), "encoding": "base64"}


def test_a_commit_adds_replaces_and_deletes(http: httpx2.Client) -> None:
    lines = [inline("new.txt", b"new"), b"", inline("old.bin", b"newer"), ("deletedFolder", {"path": "folder/"}), b"\n"]
    assert commit(http, ("header", {"summary": "s"}), *lines).status_code == 200
    assert files(http) == {".gitattributes": files(http)[".gitattributes"], "new.txt": 3, "old.bin": 5}
    assert commit(http, ("deletedFile", {"path": "new.txt"})).status_code == 200
    assert set(files(http)) == {".gitattributes", "old.bin"}


@pytest.mark.parametrize(
    "line",
    [
        ("lfsFile", {"path": "w.bin", "oid": "a" * 64, "size": 5}),
        ("lfsFile", {"path": "w.bin", "oid": hashlib.sha256(b"old").hexdigest(), "size": 4}),
        ("lfsFile", {"path": "w.bin", "oid": "../../lock"}),
        ("file", {"path": "x", "content": "no base64!", "encoding": "base64"}),
        ("file", {"path": "../x", "content": "", "encoding": "base64"}),
        ("file", {"path": "folder", "content": "", "encoding": "base64"}),
        ("file", {"path": "/etc/x", "content": "", "encoding": "base64"}),
        ("file", {"path": "a\x00", "content": "", "encoding": "base64"}),
        ("deletedFile", {"path": ".."}),
        ("symlink", {"path": "x"}),
        b"not json",
        b"[]",
        b"[" * 100_000,
    ],
    ids=str,
)
def test_an_invalid_line_fails_the_whole_commit(
    http: httpx2.Client, line: tuple[str, dict[str, object]] | bytes
) -> None:
    before = files(http)
    answer = commit(http, ("header", {"summary": "s"}), inline("good", b"good"), line)
    assert answer.status_code == 400, answer.text
    assert files(http) == before


def test_a_commit_with_an_outdated_parent_or_without_a_branch_is_refused(http: httpx2.Client) -> None:
    head = http.get("/api/models/zoo/sd").json()["sha"]
    assert commit(http, ("header", {"summary": "", "parentCommit": head}), inline("a", b"a")).status_code == 200
    assert commit(http, ("header", {"summary": "", "parentCommit": head}), inline("b", b"b")).status_code == 412
    head = http.get("/api/models/zoo/sd").json()["sha"]
    assert commit(http, ("header", {"summary": "", "parentCommit": head[:7]}), inline("b", b"b")).status_code == 200
    assert commit(http, inline("b", b"b"), revision="none").status_code == 404
    assert commit(http, inline("b", b"b"), revision="main?create_pr=1").status_code == 400


def test_preupload_says_how_to_send_each_file(http: httpx2.Client) -> None:
    asked = [{"path": "w.bin", "size": 5, "sample": ""}, {"path": "old.bin", "size": 3}, {"path": "n.txt", "size": 5}]
    said = http.post("/api/models/zoo/sd/preupload/main", json={"files": asked}).json()["files"]
    assert [(item["uploadMode"], item["oid"]) for item in said] == [
        ("lfs", None),
        ("lfs", hashlib.sha256(b"old").hexdigest()),
        ("regular", None),
    ]
