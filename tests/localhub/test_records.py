import subprocess
from pathlib import Path

import pytest
from huggingface_hub.utils.sha import git_hash

from localhub.metadata import Metadata
from localhub.records import Commit, File, Repo, commit_id, is_large, lfs_pointer
from localhub.request_errors import RevisionNotFound

SMALL = File(1, "a" * 64, "b" * 40, lfs=False)


def test_ids_are_those_of_git(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content\n")
    ended = subprocess.run(["git", "hash-object", "file"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert git_hash(b"content\n") == ended.stdout.strip()


def test_the_id_of_a_large_file_is_that_of_its_pointer() -> None:
    file = File.large("a" * 64, 123)
    assert file.oid == git_hash(lfs_pointer("a" * 64, 123))
    assert (file.etag, SMALL.etag) == ("a" * 64, "b" * 40)


def test_large_is_decided_by_name_and_size() -> None:
    assert is_large("unet/W.SAFETENSORS", 1)
    assert is_large("notes.txt", 10 << 20)
    assert not is_large("notes.txt", (10 << 20) - 1)
    assert not is_large("empty.safetensors", 0)


def test_a_commit_is_read_as_it_was_written() -> None:
    commit = Commit("c" * 40, None, "first", "2024-01-01T00:00:00.000Z", "me", {"a": SMALL}, Metadata(tags=["x"]))
    assert Commit.from_json(commit.to_json()) == commit


def test_a_commits_id_depends_on_files_parent_message_and_date_alone() -> None:
    files = {"a": SMALL, "b": File.large("c" * 64, 5)}
    usual = commit_id(files, None, "m", "d")
    assert commit_id(dict(reversed(files.items())), None, "m", "d") == usual
    others = {
        commit_id({"a": SMALL}, None, "m", "d"),
        commit_id(files, usual, "m", "d"),
        commit_id(files, None, "n", "d"),
    }
    assert len(others | {usual, commit_id(files, None, "m", "e")}) == 5


def test_a_revision_is_a_branch_a_tag_or_a_ref() -> None:
    repo = Repo("model", "a/b", "", branches={"main": "1"}, tags={"v1": "2"}, refs={"refs/pr/1": "3"})
    assert [repo.named(name) for name in ("main", "refs/heads/main", "v1", "refs/tags/v1", "refs/pr/1")] == list(
        "11223"
    )
    assert repo.named("refs/heads/v1") is None
    assert repo.with_ref("refs/heads/dev", "9") == {"branches": {"main": "1", "dev": "9"}}
    assert repo.with_ref("refs/pr/2", "9") == {"refs": {"refs/pr/1": "3", "refs/pr/2": "9"}}
    for name in ("v1", "refs/tags/v2", "a" * 40):
        with pytest.raises(RevisionNotFound):
            repo.with_ref(name, "9")
