"""The answers of the server to raw requests, without a client that would correct them."""

import http.client
import json
from urllib.parse import urlsplit

import httpx2
import pytest
from huggingface_hub.utils import validate_repo_id
from hypothesis import example, given, settings
from hypothesis import strategies as st

from localhub.process import HubProcess
from tests.localhub.conftest import CARD, WEIGHTS

JSON = {"Content-Type": "application/json"}
FILE = "/zoo/sd/resolve/main/unet/diffusion.safetensors"


def raw(
    hub: HubProcess, method: str, target: str, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """A request whose target is sent unchanged."""
    connection = http.client.HTTPConnection(urlsplit(hub.endpoint).netloc, timeout=10)
    try:
        connection.putrequest(method, "/", skip_accept_encoding=True)
        connection._buffer[0] = f"{method} {target} HTTP/1.1".encode("latin-1")  # type: ignore[attr-defined]
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def test_a_large_file_has_both_etags_its_size_and_its_commit(http: httpx2.Client) -> None:
    sha256 = http.get("/api/models/zoo/sd", params={"blobs": "true"}).json()
    large = next(sibling for sibling in sha256["siblings"] if "lfs" in sibling)
    answer = http.head(FILE)
    assert answer.headers["X-Linked-Etag"] == answer.headers["ETag"] == f'"{large["lfs"]["sha256"]}"'
    assert answer.headers["X-Linked-Size"] == answer.headers["Content-Length"] == str(len(WEIGHTS))
    assert answer.headers["X-Repo-Commit"] == sha256["sha"]
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert http.get(FILE).content == WEIGHTS


def test_a_small_file_has_the_etag_of_git(http: httpx2.Client) -> None:
    answer = http.get("/zoo/sd/resolve/main/README.md")
    siblings = http.get("/api/models/zoo/sd?blobs=1").json()["siblings"]
    assert answer.headers["ETag"] == f'"{next(s["blobId"] for s in siblings if s["rfilename"] == "README.md")}"'
    assert "X-Linked-Etag" not in answer.headers
    assert answer.content == CARD


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=3071990-", 3071990, 3072000),
        ("bytes=-5", 3071995, 3072000),
    ],
)
def test_ranges(http: httpx2.Client, asked: str, start: int, end: int) -> None:
    answer = http.get(FILE, headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == WEIGHTS[start:end]
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(WEIGHTS)}"


def test_a_range_beyond_the_end_is_refused(http: httpx2.Client) -> None:
    answer = http.get(FILE, headers={"Range": "bytes=9999999-"})
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{len(WEIGHTS)}")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/models/zoo/none", 404, "RepoNotFound"),
        ("/api/models/zoo/sd/revision/none", 404, "RevisionNotFound"),
        ("/zoo/sd/resolve/main/none.txt", 404, "EntryNotFound"),
        ("/zoo/sd/resolve/none/README.md", 404, "RevisionNotFound"),
        ("/api/models/zoo/sd/tree/main/none", 404, "EntryNotFound"),
        ("/zoo/gated/resolve/main/w.bin", 401, "GatedRepo"),
        ("/zoo/secret/resolve/main/w.bin", 404, "RepoNotFound"),
        ("/api/models/zoo/taken-down", 403, None),
        ("/api/datasets/zoo/table/parquet", 404, None),
        ("/api/datasets/zoo/table/croissant", 404, None),
        ("/api/spaces", 400, None),
        ("/nowhere", 404, None),
    ],
)
def test_errors_are_json_with_the_code_that_clients_expect(
    http: httpx2.Client, path: str, status: int, code: str | None
) -> None:
    answer = http.get(path)
    assert (answer.status_code, answer.headers.get("X-Error-Code")) == (status, code)
    assert answer.json()["error"]


def test_a_missing_file_names_the_commit_it_is_missing_from(http: httpx2.Client) -> None:
    assert (
        http.head("/zoo/sd/resolve/main/none").headers["X-Repo-Commit"] == http.get("/api/models/zoo/sd").json()["sha"]
    )


def test_expand_gives_the_requested_fields_only(http: httpx2.Client) -> None:
    asked = ["downloadsAllTime", "cardData"]
    rows = http.get("/api/models", params={"search": "zoo/sd", "expand": asked}).json()
    assert [(set(row), row["downloadsAllTime"]) for row in rows] == [({"_id", "id", "modelId", *asked}, 900)]
    row = http.get("/api/models/zoo/sd?expand[]=baseModels&expand[]=pipeline_tag").json()
    assert row["baseModels"]["models"][0]["id"] == "zoo/base"
    assert set(row) == {"_id", "id", "modelId", "baseModels", "pipeline_tag"}


@pytest.mark.parametrize(
    "query",
    [
        "expand=sha&full=true",
        "expand=sha&cardData=1",
        "expand=nonsense",
        "sort=nonsense",
        "limit=0",
        "limit=x",
        "cursor=x",
        "apps=ollama",
    ],
)
def test_invalid_queries_are_refused(http: httpx2.Client, query: str) -> None:
    answer = http.get(f"/api/models?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"] == answer.headers["X-Error-Message"]


def test_pages_are_linked_and_keep_the_query(http: httpx2.Client) -> None:
    answer = http.get(
        "/api/models", params={"search": "small", "limit": "5", "sort": "downloads", "filter": "transformers"}
    )
    seen = [row["id"] for row in answer.json()]
    while "next" in answer.links:
        answer = http.get(answer.links["next"]["url"])
        seen += [row["id"] for row in answer.json()]
    assert seen == [f"zoo/small-{n:02}" for n in (10, 11, 8, 9, 6, 7, 4, 5, 2, 3, 0, 1)]


def test_cards_are_validated_before_uploads(http: httpx2.Client) -> None:
    broken = http.post("/api/validate-yaml", json={"content": "---\nlicense: [mit\n---\n", "repoType": "model"})
    assert (broken.status_code, len(broken.json()["errors"])) == (400, 1)
    assert http.post("/api/validate-yaml", json={"content": "# Hello"}).json()["warnings"]
    assert http.post("/api/validate-yaml", json={"content": "---\nlicense: mit\n---\n"}).json() == {
        "errors": [],
        "warnings": [],
    }


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"[" * 100_000, b"\xff", b'{"content": 1}', b'{"content": "---\\n\\ud800: 1\\n---\\n"}']
)
def test_an_invalid_body_is_an_error_of_the_client(http: httpx2.Client, body: bytes) -> None:
    assert http.post("/api/validate-yaml", content=body, headers=JSON).status_code == 400


# What a page of another site can send without asking first.
SIMPLE_TYPES = ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
WRITES = [
    ("POST", "/api/repos/create", b'{"name": "zoo/new"}'),
    ("DELETE", "/api/repos/delete", b'{"name": "zoo/sd"}'),
    ("PUT", "/api/models/zoo/sd/settings", b'{"private": true}'),
    ("POST", "/api/models/zoo/sd/commit/main", b'{"key": "header", "value": {"summary": "s"}}'),
    ("POST", "/api/models/zoo/sd/tag/main", b'{"tag": "v1"}'),
    ("POST", "/api/models/zoo/sd/branch/new", b"{}"),
]


@pytest.mark.attack
@pytest.mark.parametrize("media_type", SIMPLE_TYPES)
@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_writing_needs_json(http: httpx2.Client, method: str, path: str, body: bytes, media_type: str) -> None:
    headers = {"Authorization": "Bearer hf_room_writer", "Content-Type": media_type}
    answer = http.request(method, path, content=body, headers=headers)
    assert (answer.status_code, "application/json" in answer.json()["error"]) == (415, True)


@pytest.mark.attack
@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_half_of_a_character_is_an_error_of_the_client(
    http: httpx2.Client, method: str, path: str, body: bytes
) -> None:
    body = body.rstrip(b"}") + b', "x": {"\\ud800": "\\uDC00"}' + b"}" * (body.count(b"}") or 1)
    body = body.replace(b"{, ", b"{")
    answer = http.request(method, path, content=body, headers={**JSON, "Authorization": "Bearer hf_room_writer"})
    assert (answer.status_code, "surrogate" in answer.json()["error"]) == (400, True)


TARGETS = [
    "/zoo/sd/resolve/main/../../../../etc/passwd",
    "/zoo/sd/resolve/main/%2e%2e/%2e%2e/%2e%2e/repo.json",
    "/zoo/sd/resolve/main/..%2f..%2frepo.json",
    "/zoo/sd/resolve/main/..%5c..%5crepo.json",
    "/zoo/sd/resolve/main/%252e%252e/repo.json",
    "/zoo/sd/resolve/main//etc/passwd",
    "/zoo/sd/resolve/main/%2fetc%2fpasswd",
    "/zoo/sd/resolve/main/README.md%00.txt",
    "/zoo/sd/resolve/..%2f..%2frepo/x",
    "/zoo/sd/resolve/%2e%2e/repo.json",
    "/zoo/%2e%2e/resolve/main/repo.json",
    "/%2e%2e/%2e%2e/resolve/main/lock",
    "/zoo%2fsd/x/resolve/main/README.md",
    "/api/models/zoo/sd/revision/..%2f..%2frepo",
    "/api/models/zoo/..%2f..%2f..",
    "/api/models/%2e%2e/%2e%2e",
    "/api/models/zoo/sd/tree/main/..%2f..",
    "/api/models/zoo/sd/tree/%2e%2e/%2e%2e",
    "/zoo/sd/resolve/main/%ff%fe",
    "/lfs-storage/..%2f..%2flock?size=1&expires=1&signature=x",
    "/api/models/zoo/sd/revision/" + "a" * 39 + "*",
    "http://127.0.0.1/etc/passwd",
    "*",
    "//etc/passwd",
]
PIECES = st.sampled_from(
    ["zoo", "sd", "resolve", "main", "api", "models", "datasets", "tree", "repo.json", "commits", "lock", "blobs",
     "..", ".", "%2e%2e", "%2f", "%5c", "%00", "%252e", "%c0%ae", "etc", "passwd", "README.md", "~", "*", ""]
)  # fmt: skip


@settings(max_examples=300)
@given(st.builds(lambda pieces: "/" + "/".join(pieces), st.lists(PIECES, max_size=9)))
def test_no_path_leaves_the_directory(shown: HubProcess, target: str) -> None:
    check_target(shown, target)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE"])
def test_names_that_escape_a_folder_are_refused(shown: HubProcess, method: str, target: str) -> None:
    check_target(shown, target, method)


def check_target(hub: HubProcess, target: str, method: str = "GET") -> None:
    status, headers, body = raw(hub, method, target)
    assert status < 500, (target, body)
    if status == 200 and "x-repo-commit" in headers:
        assert body == CARD
        return
    if status == 200:
        json.loads(body)
    assert b"root:" not in body
    assert b"branches" not in body


@settings(max_examples=100)
@given(
    st.sampled_from(["create", "delete"]),
    st.dictionaries(
        st.sampled_from(["name", "organization", "type", "private"]), st.none() | st.text(max_size=9) | st.integers()
    ),
)
@example("create", {"name": "../../x"})
@example("create", {"name": "x", "organization": ".."})
@example("create", {"name": "_type"})
@example("delete", {"name": "sd", "organization": "zoo", "type": "../models"})
def test_names_in_requests_create_no_folders(
    shown: HubProcess, http: httpx2.Client, action: str, asked: dict[str, object]
) -> None:
    before = sorted(path.relative_to(shown.directory) for path in shown.directory.glob("*/*/*"))
    method = "POST" if action == "create" else "DELETE"
    headers = {"Authorization": "Bearer hf_room_writer"}
    answer = http.request(method, f"/api/repos/{action}", json=asked, headers=headers)
    if action == "create" and answer.status_code == httpx2.codes.OK:
        # By chance a valid name by the rule of the client: it is deleted again.
        validate_repo_id(answer.json()["id"])
        made = {"name": answer.json()["id"], "type": asked.get("type") or "model"}
        assert http.request("DELETE", "/api/repos/delete", json=made, headers=headers).status_code == httpx2.codes.OK
    else:
        assert 400 <= answer.status_code < 500, answer.text
    assert sorted(path.relative_to(shown.directory) for path in shown.directory.glob("*/*/*")) == before
