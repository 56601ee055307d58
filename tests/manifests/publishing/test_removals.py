"""What was removed is in no file of the published dataset, nor in its history; the card counts it."""

import io
import urllib.request

import pyarrow.parquet as pq
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import RevisionNotFoundError

from localhub.process import HubProcess
from localhub.store import Store
from manifests.building import build
from tests.manifests.making import Builder
from tests.manifests.publishing.publishing import WRITER, files, history, publish, text
from upkeep.options import RemoveOptions
from upkeep.removal import remove
from workspace.layout import Workspace


def _published(hub: HubProcess, repo_id: str) -> list[bytes]:
    """Every file of every commit that `main` leads to, and what its tables say."""
    store = Store(hub.directory)
    repo = store.repo("dataset", repo_id)
    found: list[bytes] = []
    for commit in store.history(repo, store.commit_of(repo, "main")):
        for path in commit.files:
            address = f"{hub.endpoint}/datasets/{repo_id}/resolve/{commit.id}/{path}"
            request = urllib.request.Request(address, headers={"Authorization": f"Bearer {WRITER}"})
            with urllib.request.urlopen(request, timeout=10) as answer:
                content = answer.read()
            found += [path.encode(), content]
            if path.endswith(".parquet"):
                found.append(f"{pq.ParquetFile(io.BytesIO(content)).read().to_pylist()!r}".encode())
    return found


def test_a_removed_generator_and_photograph_are_in_no_file_and_no_commit(
    clean: HubProcess, filled: Builder, ready: Workspace
) -> None:
    workspace, dataset = ready, "org/removing"
    workspace.recipe.write_text('[crawl]\ninclude = ["org/painter"]\n')
    photograph = filled.prompts["photos"][1]
    names = [b"org/painter", b"org--painter", str(photograph.real_sha256).encode(), repr(photograph.prompt).encode()]
    publish(clean, workspace, dataset)
    assert all(any(name in content for content in _published(clean, dataset)) for name in names[::2])
    assert "## Removals" not in text(clean, dataset, "README.md")
    remove(workspace, ["org/painter"], RemoveOptions(reason="author-request", note="by letter of Jolanthe"))
    remove(workspace, [], RemoveOptions(reason="privacy", real=(str(photograph.real_sha256),)))
    build(workspace)
    before, shards = history(clean, dataset), files(clean, dataset)

    dry = publish(clean, workspace, dataset, squash=True, dry_run=True)
    assert "dry run: would replace the history of main (2 commits) by one commit" in dry.stdout
    assert "would remove the tags of former versions: round-1" in dry.stdout
    assert "refs/tags" not in dry.stdout
    assert history(clean, dataset) == before
    done = publish(clean, workspace, dataset, squash=True)
    assert done.returncode == 0, done.stderr
    assert "replaced the history of main (3 commits) by one commit" in done.stdout
    assert "permanently_delete_lfs_files" in done.stdout
    assert "removed the tags of former versions: round-1" in done.stdout

    (only,) = history(clean, dataset)
    tags = Store(clean.directory).repo("dataset", dataset).tags
    assert tags == {"round-1.2": only}
    assert any(path.startswith("data/Systematic-") for path in shards.keys() - files(clean, dataset).keys())
    api = HfApi(clean.endpoint, token=WRITER)
    for commit in before:
        with pytest.raises(RevisionNotFoundError):
            api.list_repo_files(dataset, repo_type="dataset", revision=commit)
    contents = _published(clean, dataset)
    for name in (*names, b"Jolanthe"):
        assert not any(name in content for content in contents), name
    card = text(clean, dataset, "README.md")
    assert "| generators | author request | 1 |" in card
    assert "| real images | privacy | 1 |" in card
    assert "| round-1 (withdrawn) |" in card

    again = publish(clean, workspace, dataset, squash=True)
    assert "has one commit only" in again.stdout
    assert history(clean, dataset) == [only]
    assert Store(clean.directory).repo("dataset", dataset).tags == tags
