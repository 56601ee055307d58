"""What was removed is in no file of the published dataset, nor in its history; the card counts it."""

import io
import urllib.request

import pyarrow.parquet as pq

from localhub.process import HubProcess
from localhub.store import Store
from manifests.stage import build_manifest
from tests.manifests.making import Builder
from tests.manifests.publishing.publishing import WRITER, history, publish, text
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


def test_a_removed_generator_and_photograph_are_in_no_file_and_no_commit(clean: HubProcess, filled: Builder) -> None:
    workspace: Workspace = filled.write()
    workspace.recipe.write_text('[crawl]\ninclude = ["org/painter"]\n')
    photograph = filled.prompts["photos"][1]
    names = [b"org/painter", b"org--painter", str(photograph.real_sha256).encode(), repr(photograph.prompt).encode()]
    build_manifest(workspace)
    publish(clean, workspace, "org/removing")
    assert all(any(name in content for content in _published(clean, "org/removing")) for name in names[::2])
    assert "## Removals" not in text(clean, "org/removing", "README.md")
    remove(workspace, ["org/painter"], RemoveOptions(reason="author-request", note="by letter of Jolanthe"))
    remove(workspace, [], RemoveOptions(reason="privacy", real=(str(photograph.real_sha256),)))
    build_manifest(workspace)
    before = history(clean, "org/removing")
    done = publish(clean, workspace, "org/removing", squash=True)
    assert done.returncode == 0, done.stderr
    assert not set(before) & set(history(clean, "org/removing"))
    contents = _published(clean, "org/removing")
    for name in (*names, b"Jolanthe"):
        assert not any(name in content for content in contents), name
    card = text(clean, "org/removing", "README.md")
    assert "| generators | author request | 1 |" in card
    assert "| real images | privacy | 1 |" in card
