"""What the Hub refuses, and what is refused to it: one clear line, and nothing half visible."""

import hashlib
import re
from collections import Counter
from typing import Any

import pytest

from localhub.process import HubProcess
from localhub.store import Store
from manifests.publishing.publish import publish_dataset
from tests.manifests import commands
from tests.manifests.making import Builder
from tests.manifests.publishing.publishing import (
    READER,
    WRITER,
    add_by_hand,
    ask,
    files,
    in_public,
    publish,
    publish_by_command,
    sent,
)
from tests.scale import scaled, weekly
from workspace.errors import UsageError
from workspace.layout import Workspace

AT_ONCE = {"Retry-After": "0"}


NO_ROOM = "Private repository storage limit reached"


REFUSED_BATCH = {
    "transfer": "basic",
    "objects": [{"oid": "0" * 64, "size": 1, "error": {"code": 402, "message": NO_ROOM}}],
}


def test_staging_space_for_less_than_a_shard_is_refused(clean: HubProcess, ready: Workspace) -> None:
    done = publish(clean, ready, "org/no-room", max_staging="100MB")
    assert done.returncode == 2
    assert "--max-staging" in done.stderr
    assert done.stderr.count("\n") == 1
    assert clean.requests() == []


def test_the_remedy_of_the_refusal_makes_it_publishable(clean: HubProcess, ready: Workspace) -> None:
    built = commands.build(ready.root, "--edition", "public")
    assert built.returncode == 0, built.stderr
    assert "public edition: 3 real images listed without pixels" in built.stdout
    done = publish(clean, ready, "org/advised", public=True)
    assert done.returncode == 0, done.stderr
    assert not Store(clean.directory).repo("dataset", "org/advised").private
    assert "metadata/real_images.parquet" in files(clean, "org/advised")


def test_what_may_not_be_passed_on_is_not_made_public(clean: HubProcess, ready: Workspace) -> None:
    done = publish(clean, ready, "org/open", public=True)
    assert done.returncode == 2
    assert "cf-build-manifest --edition public" in done.stderr
    assert "3 real images" in done.stderr
    assert done.stderr.count("\n") == 1
    Store(clean.directory).create("dataset", "org/opened", private=False, created_at="2026-01-01T00:00:00.000Z")
    again = publish(clean, ready, "org/opened")
    assert again.returncode == 2
    assert "is public" in again.stderr
    assert {row["method"] for row in clean.requests()} == {"GET"}
    assert sum(path.startswith("data/") for path in files(clean, "org/opened")) == 0


def test_a_hub_with_other_content_than_was_sent_is_noticed(clean: HubProcess, ready: Workspace) -> None:
    publish(clean, ready, "org/truth")
    for number, (revision, lie) in enumerate((("cf-publish", "size"), ("cf-publish", "lfs"), ("main", "size"))):
        name = f"org/lied-{number}"
        listing = ask(clean, "/api/datasets/org/truth/tree/main?recursive=true")
        shard = next(file for file in listing if file["path"].startswith("data/"))
        shard[lie] = shard[lie] + 1 if lie == "size" else {**shard["lfs"], "oid": "0" * 64}
        clean.fail("status", path=f"{name}/tree/{revision}", status=200, body=listing)
        done = publish(clean, ready, name)
        assert done.returncode == 1
        assert f"{name}@{revision}: the Hub's copy of {shard['path']} differs from what was sent" in done.stderr
        assert done.stderr.count("\n") == 1
        assert any(path.startswith("data/") for path in files(clean, name)) == (revision == "main")


def test_another_datasets_files_are_not_touched(clean: HubProcess, ready: Workspace) -> None:
    Store(clean.directory).create("dataset", "org/theirs", private=True, created_at="2026-01-01T00:00:00.000Z")
    add_by_hand(clean, "org/theirs", {"data/train.csv": b"a,b\n"})
    before = files(clean, "org/theirs")
    done = publish(clean, ready, "org/theirs")
    assert done.returncode == 1
    assert "contains files that cf-publish did not write (data/train.csv)" in done.stderr
    assert done.stderr.count("\n") == 1
    assert files(clean, "org/theirs") == before


def test_requests_to_a_busy_hub_are_repeated(clean: HubProcess, filled: Builder) -> None:
    clean.fail("status", path="/api/repos/create", status=429, headers={"Retry-After": "1"}, times=1)
    clean.fail("status", method="POST", path="/commit/", status=503, headers=AT_ONCE, times=2)
    clean.fail("reset", path="/tree/", times=1)
    done = publish(clean, in_public(filled), "org/busy", public=True)
    assert done.returncode == 0, done.stderr
    assert not Store(clean.directory).repo("dataset", "org/busy").private
    assert sum(path.startswith("data/") for path in files(clean, "org/busy")) == 4
    assert [rule["applied"] for rule in clean.faults()] == [1, 2, 1]


#: What is refused, by whose token, and what the message has: who asks, what is sent, and a Hub that is full or ill.
REFUSALS: tuple[tuple[dict[str, Any], str | None, str], ...] = (
    ({}, None, "hf auth login"),
    ({}, READER, "the token may not write there"),
    ({"method": "PUT", "status": 403, "body": {"error": "Signature expired"}}, WRITER, "(the Hub says: Signature"),
    ({"method": "POST", "path": "/commit/", "status": 413}, WRITER, "smaller --max-shard-size"),
    ({"path": "/commit/cf-publish", "status": 402, "body": {"error": NO_ROOM}}, WRITER, NO_ROOM),
    ({"path": "objects/batch", "status": 200, "body": REFUSED_BATCH}, WRITER, NO_ROOM),
    ({"path": "/commit/main", "status": 503, "headers": AT_ONCE}, WRITER, "run the same command"),
)
#: The same from other places of the Hub, and under other codes: with `make soak`.
MORE_REFUSALS: tuple[tuple[dict[str, Any], str | None, str], ...] = (
    ({}, "hf_unknown", "hf auth login"),
    ({"path": "/commit/cf-publish", "status": 500, "headers": AT_ONCE}, WRITER, "run the same command"),
    ({"path": "/commit/cf-publish", "status": 403, "body": {"error": NO_ROOM}}, WRITER, NO_ROOM),
    ({"path": "objects/batch", "status": 507, "body": {"error": NO_ROOM}}, WRITER, NO_ROOM),
)


@pytest.mark.parametrize(("fault", "token", "message"), scaled(REFUSALS, REFUSALS + MORE_REFUSALS))
def test_a_refusal_is_one_line_with_a_remedy_and_main_is_unchanged(
    clean: HubProcess, ready: Workspace, fault: dict[str, Any], token: str | None, message: str
) -> None:
    if fault:
        clean.fail("status", **fault)
    name = f"org/refused-{hashlib.sha256(ready.root.parent.name.encode()).hexdigest()[:8]}"
    done = publish(clean, ready, name, token=token)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: http://")
    if token == WRITER:
        assert files(clean, name).keys() <= {".gitattributes"}


@weekly("manifests/publishing/test_refusals.py::test_a_refusal_is_one_line_with_a_remedy_and_main_is_unchanged")
def test_without_a_token_the_command_names_the_remedy(clean: HubProcess, ready: Workspace) -> None:
    done = publish_by_command(clean, ready, "org/refused", token=None)
    assert done.returncode == 1
    assert "hf auth login" in done.stderr
    assert done.stderr.startswith(f"error: {clean.endpoint}")
    assert done.stderr.count("\n") == 1


def test_after_a_failure_in_the_middle_the_same_command_continues(clean: HubProcess, ready: Workspace) -> None:
    clean.fail("status", path="/commit/main", status=502, headers=AT_ONCE)
    clean.fail("status", method="PUT", status=500, headers=AT_ONCE, skip=2, times=2)
    failed = publish(clean, ready, "org/continued")
    assert failed.returncode == 1
    assert "run the same command again" in failed.stderr
    assert files(clean, "org/continued").keys() <= {".gitattributes"}
    before = sent(clean)
    clean.clear_faults()
    done = publish(clean, ready, "org/continued")
    assert done.returncode == 0, done.stderr
    assert sent(clean)[: len(before)] == before
    assert max(Counter(sent(clean)).values()) == 1


def test_more_shards_than_a_folder_takes_are_refused_with_a_size_that_works(
    clean: HubProcess, many: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("manifests.publishing.preconditions.MAX_FILES", 10)
    done = publish(clean, many, "org/small", dry_run=True, max_shard_size="20kB")
    assert done.returncode == 2
    larger = re.search(r"would have \d+ shards in one folder, .* with --max-shard-size (\S+) and", done.stderr)
    assert larger is not None, done.stderr
    assert publish(clean, many, "org/small", dry_run=True, max_shard_size=larger[1]).returncode == 0


@pytest.mark.parametrize("name", ["nobody", "a/b/c", "org/../name", "org/na me", ""])
def test_an_invalid_name_is_refused_before_any_request(clean: HubProcess, ready: Workspace, name: str) -> None:
    with pytest.raises(UsageError):
        publish_dataset(ready, name)
    assert clean.requests() == []


def test_without_a_manifest_the_error_names_the_command_to_run(clean: HubProcess, filled: Builder) -> None:
    done = publish(clean, filled.write(), "org/early")
    assert done.returncode == 2
    assert "cf-build-manifest" in done.stderr
    assert clean.requests() == []


def test_damage_after_the_manifest_was_built_is_not_published(clean: HubProcess, ready: Workspace) -> None:
    (ready.images_of("org/painter") / "00000004.png").write_bytes(b"not what it was")
    done = publish(clean, ready, "org/damaged")
    assert done.returncode == 1
    assert "images/org--painter/00000004.png" in done.stderr
    assert [path for path in files(clean, "org/damaged") if path.startswith("data/")] == []
