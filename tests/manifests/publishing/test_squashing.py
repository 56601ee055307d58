"""Taking down: what was removed is in no commit that anybody can still name."""

from localhub.process import HubProcess
from localhub.store import Store
from tests.manifests.making import Builder
from tests.manifests.publishing.publishing import files, publish


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
