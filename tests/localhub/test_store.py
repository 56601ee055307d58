import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest

from localhub.request_errors import BadRequest, Conflict, RepoNotFound, RequestError, RevisionNotFound
from localhub.store import Store
from tests.hubs import DATE

LATER = "2024-06-01T00:00:00.000Z"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    store.create("model", "zoo/sd", downloads=5)
    return store


def commit(store: Store, add: dict[str, bytes | Path], **options: object) -> str:
    return store.commit("model", "zoo/sd", add=add, **{"message": "m", "date": DATE, **options})  # type: ignore[arg-type]


def paths(store: Store, revision: str = "main") -> list[str]:
    return sorted(store.commit_of(store.repo("model", "zoo/sd"), revision).files)


def test_a_new_repository_has_its_settings_and_a_first_commit(store: Store) -> None:
    repo = store.repo("model", "zoo/sd")
    assert (repo.downloads, repo.downloads_all_time, repo.gated) == (5, 5, False)
    assert paths(store) == [".gitattributes"]
    assert store.exists("model", "zoo/sd")
    assert not store.exists("dataset", "zoo/sd")


def test_creating_it_again_is_a_conflict_without_exist_ok(store: Store) -> None:
    with pytest.raises(Conflict):
        store.create("model", "zoo/sd")
    assert store.create("model", "zoo/sd", downloads=9, exist_ok=True).downloads == 5


def test_commits_add_replace_and_delete(store: Store, tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"w" * 100)
    first = commit(store, {"a.txt": b"a", "unet/w.bin": tmp_path / "weights", "unet/c.json": b"{}"})
    second = commit(store, {"a.txt": b"b"}, delete=["unet/"])
    assert (paths(store), paths(store, second)) == ([".gitattributes", "a.txt"], [".gitattributes", "a.txt"])
    assert paths(store, first) == paths(store, first[:7]) == [".gitattributes", "a.txt", "unet/c.json", "unet/w.bin"]
    repo = store.repo("model", "zoo/sd")
    assert [c.id for c in store.history(repo, store.commit_of(repo))][:2] == [second, first]


def test_the_same_content_with_the_same_date_has_the_same_id_anywhere(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    other.create("model", "else/where", downloads=99)
    ids = [
        commit(store, {"a": b"a", "b": b"b"}),
        other.commit("model", "else/where", add={"b": b"b", "a": b"a"}, message="m", date=DATE),
    ]
    assert ids[0] == ids[1]
    assert commit(store, {"c": b""}, date=LATER) != other.commit(
        "model", "else/where", add={"c": b""}, message="m", date=DATE
    )


def test_a_commit_that_changes_nothing_is_not_made(store: Store) -> None:
    first = commit(store, {"a": b"a"})
    assert commit(store, {"a": b"a"}, message="again", date=LATER, delete=["nothing"]) == first


def test_a_commit_can_have_a_given_id(store: Store) -> None:
    known = "82a37760796d32b1411fe092ab5d4e227313294b"
    assert commit(store, {"a": b"a"}, commit_id=known) == known
    assert commit(store, {"a": b"a"}, commit_id=known) == known
    assert paths(store, known) == [".gitattributes", "a"]
    with pytest.raises(Conflict):
        commit(store, {"b": b"b"}, commit_id=known)
    with pytest.raises(BadRequest, match="40"):
        commit(store, {"b": b"b"}, commit_id="main")


def test_branches_start_from_main_and_are_independent(store: Store) -> None:
    commit(store, {"a": b"a"})
    commit(store, {"b": b"b"}, revision="refs/pr/39")
    commit(store, {"c": b"c"})
    assert paths(store, "refs/pr/39") == [".gitattributes", "a", "b"]
    assert paths(store) == [".gitattributes", "a", "c"]


def test_tags_and_branches_are_created_once_and_deleted(store: Store) -> None:
    first = commit(store, {"a": b"a"})
    store.set_ref("model", "zoo/sd", "tags", "v1", first)
    commit(store, {"b": b"b"})
    assert paths(store, "v1") == [".gitattributes", "a"]
    with pytest.raises(Conflict):
        store.set_ref("model", "zoo/sd", "tags", "v1", first)
    with pytest.raises(RevisionNotFound, match="not a branch"):
        commit(store, {"c": b"c"}, revision="v1")
    store.set_ref("model", "zoo/sd", "tags", "v1", None)
    with pytest.raises(RevisionNotFound):
        store.commit_of(store.repo("model", "zoo/sd"), "v1")
    with pytest.raises(BadRequest):
        store.set_ref("model", "zoo/sd", "branches", "main", None)


def test_a_commit_with_an_outdated_parent_is_refused(store: Store) -> None:
    before = store.repo("model", "zoo/sd").head
    commit(store, {"a": b"a"})
    with pytest.raises(RequestError) as refusal:
        store.commit_files("model", "zoo/sd", {}, delete=["a"], message="", date=DATE, parent=before)
    assert refusal.value.status == 412


def test_a_squashed_branch_has_one_commit_and_no_other_history_is_touched(store: Store) -> None:
    tagged = commit(store, {"a": b"a"})
    store.set_ref("model", "zoo/sd", "tags", "v1", tagged)
    between = commit(store, {"b": b"b"})
    head = commit(store, {"a": b"changed"})
    with pytest.raises(RevisionNotFound):
        store.squash("model", "zoo/sd", "v1", message="", date=DATE)
    before = dict(store.commit_of(store.repo("model", "zoo/sd")).files)
    made = store.squash("model", "zoo/sd", "main", message="one", date=DATE)
    repo = store.repo("model", "zoo/sd")
    (only,) = store.history(repo, store.commit_of(repo))
    assert (only.id, only.message, dict(only.files)) == (made, "one", before)
    for gone in (between, head):
        with pytest.raises(RevisionNotFound):
            store.commit_of(repo, gone)
    assert len(list(store.history(repo, store.commit_of(repo, "v1")))) == 2


@pytest.mark.parametrize("add", [{"a/b": b"", "a": b""}, {"../x": b""}, {"/x": b""}, {"a\\b": b""}, {"": b""}])
def test_a_path_that_is_a_file_and_a_folder_is_refused(store: Store, add: dict[str, bytes | Path]) -> None:
    with pytest.raises(BadRequest):
        commit(store, add)
    assert paths(store) == [".gitattributes"]


@pytest.mark.parametrize("repo_id", ["sd", "../x/y", "a/..", "a/b/c", "/a", "a--b/c"])
def test_names_that_would_leave_the_directory_are_refused(store: Store, repo_id: str) -> None:
    with pytest.raises(BadRequest):
        store.create("model", repo_id)
    with pytest.raises(BadRequest):
        store.repo("space", "a/b")


def test_a_deleted_repository_can_be_created_again(store: Store) -> None:
    commit(store, {"a": b"a"}, commit_id="1" * 40)
    assert paths(store, "1" * 40)
    store.delete("model", "zoo/sd")
    with pytest.raises(RepoNotFound):
        store.repo("model", "zoo/sd")
    store.create("model", "zoo/sd")
    commit(store, {"b": b"b"}, commit_id="1" * 40)
    assert paths(store, "1" * 40) == [".gitattributes", "b"]
    assert sorted(path.name for path in store.root.iterdir()) == ["blobs", "changes", "models"]


def test_every_change_of_any_writer_is_reported(store: Store) -> None:
    place, changed = store.changes(-1)
    assert changed is None
    assert store.changes(place) == (place, set())
    other = Store(store.root)
    other.update("model", "zoo/sd", downloads=6)
    other.create("dataset", "zoo/table")
    after, changed = store.changes(place)
    assert changed == {("model", "zoo/sd"), ("dataset", "zoo/table")}
    assert store.changes(after + 1000)[1] is None, "not a place of this directory"
    assert store.repo("model", "zoo/sd").downloads == 6


WRITER = """
import sys
from localhub.store import Store
store, name = Store(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.read()
for number in range(int(sys.argv[3])):
    add = {f"{name}-{number}": f"{name} {number}".encode() * 1000, "shared.bin": f"{number}".encode()}
    store.commit("model", "zoo/sd", add=add, message=name, date="2024-01-01T00:00:00.000Z")
"""


def writers(store: Store, *names: str, commits: int) -> list[subprocess.Popen[bytes]]:
    """Processes that commit, all ready before the first one starts."""
    started = []
    for name in names:
        command = [sys.executable, "-c", WRITER, str(store.root), name, str(commits)]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    for process in started:
        assert process.stdout is not None
        with process.stdout as output:
            assert output.readline() == b"ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
    return started


def test_three_processes_lose_no_commit(store: Store) -> None:
    names = ("left", "middle", "right")
    assert [process.wait() for process in writers(store, *names, commits=30)] == [0, 0, 0]
    expected = [".gitattributes", "shared.bin", *(f"{name}-{number}" for name in names for number in range(30))]
    assert paths(store) == sorted(expected)


def test_a_writer_killed_at_any_moment_leaves_a_valid_store(store: Store) -> None:
    moments = random.Random(0)
    for attempt in range(8):
        (process,) = writers(store, f"killed-{attempt}", commits=10_000)
        time.sleep(moments.uniform(0.0, 0.1))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        repo = store.repo("model", "zoo/sd")
        for state in islice(store.history(repo, store.commit_of(repo)), 5):
            for path, file in state.files.items():
                assert hashlib.sha256(store.blobs.read(file.sha256)).hexdigest() == file.sha256, path
    assert commit(store, {"after": b"all"}) == store.repo("model", "zoo/sd").head
