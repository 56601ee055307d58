"""Taking down: what was removed is in no commit that anybody can still name."""

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import RevisionNotFoundError

from localhub.process import HubProcess
from localhub.store import Store
from manifests.building import build
from tests.manifests.making import Builder
from tests.manifests.publishing.publishing import WRITER, files, history, publish


def test_what_was_removed_is_in_no_commit_after_a_squash(clean: HubProcess, filled: Builder) -> None:
    workspace = filled.write()
    build(workspace)
    publish(clean, workspace, "org/taken")
    former = history(clean, "org/taken")
    before = files(clean, "org/taken")
    for name in ("samples", "images"):
        for path in (workspace.root / name / "org--painter").iterdir():
            path.unlink()
        (workspace.root / name / "org--painter").rmdir()
    build(workspace)
    dry = publish(clean, workspace, "org/taken", squash=True, dry_run=True)
    assert "dry run: would replace the history of main (2 commits) by one commit" in dry.stdout
    assert history(clean, "org/taken") == former
    done = publish(clean, workspace, "org/taken", squash=True)
    assert done.returncode == 0, done.stderr
    assert "replaced the history of main (3 commits) by one commit" in done.stdout
    assert "permanently_delete_lfs_files" in done.stdout
    (only,) = history(clean, "org/taken")
    api = HfApi(clean.endpoint, token=WRITER)
    for commit in former:
        with pytest.raises(RevisionNotFoundError):
            api.list_repo_files("org/taken", repo_type="dataset", revision=commit)
    gone = before.keys() - files(clean, "org/taken").keys()
    assert any(path.startswith("data/Systematic-") for path in gone)

    again = publish(clean, workspace, "org/taken", squash=True)
    assert "has one commit only" in again.stdout
    assert history(clean, "org/taken") == [only]


def test_refs_with_a_history_of_their_own_are_named(clean: HubProcess, ready: object, filled: Builder) -> None:
    publish(clean, filled.workspace, "org/tagged")
    store = Store(clean.directory)
    head = store.repo("dataset", "org/tagged").head
    store.set_ref("dataset", "org/tagged", "tags", "v1", head)
    store.set_ref("dataset", "org/tagged", "branches", "draft", head)
    store.update("dataset", "org/tagged", refs={"refs/convert/parquet": head, "refs/pr/1": head})
    done = publish(clean, filled.workspace, "org/tagged", squash=True)
    assert done.returncode == 0, done.stderr
    assert "remove these refs on the Hub: draft, refs/convert/parquet, refs/pr/1, refs/tags/v1" in done.stdout
    assert files(clean, "org/tagged", "v1") == files(clean, "org/tagged")


def test_a_hub_that_refuses_to_squash_says_so_in_a_line(clean: HubProcess, ready: object, filled: Builder) -> None:
    clean.fail("status", path="/super-squash/", status=403, body={"error": "not yours"})
    done = publish(clean, filled.workspace, "org/kept", squash=True)
    assert done.returncode == 1
    assert "not yours" in done.stderr
    assert done.stderr.count("\n") == 1
