"""Publishing to a Hub whose content is then looked at: in this process, or by the command line in one of its own."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from localhub.process import HubProcess
from localhub.store import Store
from manifests.building import build
from manifests.options import BuildOptions, PublishOptions
from manifests.publishing.card_numbers import CardNumbers, count_for_card
from manifests.publishing.publish import publish_dataset
from manifests.publishing.published import Counts, count_rows, published_rows
from tests.hubs import WITHOUT_TENSORS
from tests.manifests.commands import Done
from tests.manifests.making import Builder
from workspace.errors import CommunityForensicsError
from workspace.layout import Workspace

PUBLISH = [sys.executable, "-c", "from manifests.cli import publish; publish()"]


WRITER, READER = "hf_writer", "hf_reader"


def environment(hub: HubProcess, token: str | None = WRITER) -> dict[str, str]:
    # Not set for the user either: the Hub's having no Xet is for the program to find out.
    inherited = {**os.environ, **hub.environment(token)}
    return {name: value for name, value in inherited.items() if name != "HF_HUB_DISABLE_XET"}


def publish(hub: HubProcess, workspace: Workspace, repo_id: str, token: str | None = WRITER, **options: Any) -> Done:
    """Publish in this process; the result as the command line shows it."""
    try:
        chosen = PublishOptions(endpoint=hub.endpoint, token=token, **options)
        lines = list(publish_dataset(workspace, repo_id, chosen).lines())
    except CommunityForensicsError as error:
        return Done(error.exit_code, "", f"error: {error}\n")
    return Done(0, "\n".join(lines), "")


def publish_by_command(
    hub: HubProcess, workspace: Workspace, repo_id: str, *options: str, token: str | None = WRITER
) -> subprocess.CompletedProcess[str]:
    """Run cf-publish, which takes Hub and token from the environment."""
    command = [*PUBLISH, repo_id, "--workspace", str(workspace.root), *options]
    return subprocess.run(command, env=environment(hub, token), capture_output=True, text=True, timeout=120)


def counts_of(workspace: Workspace) -> Counts:
    """What of a manifest may not be published, or not to everybody."""
    with published_rows(workspace) as connection:
        return count_rows(connection)


def numbers_of(workspace: Workspace) -> CardNumbers:
    """What the card of a manifest counts."""
    with published_rows(workspace) as connection:
        return count_for_card(connection, workspace)


def sent(hub: HubProcess) -> list[str]:
    """Contents that were uploaded since the requests were cleared, by their sha256."""
    puts = [row["path"] for row in hub.requests() if row["method"] == "PUT" and row["status"] == 200]
    return [path.rsplit("/", 1)[1] for path in puts if "lfs-storage" in path]


def files(hub: HubProcess, repo_id: str, revision: str = "main") -> dict[str, str]:
    """Path and content hash of all files at a revision, as the Hub's own store has them."""
    store = Store(hub.directory)
    commit = store.commit_of(store.repo("dataset", repo_id), revision)
    return {path: file.etag for path, file in commit.files.items()}


def text(hub: HubProcess, repo_id: str, path: str, revision: str = "main") -> str:
    return str(ask(hub, f"/datasets/{repo_id}/resolve/{revision}/{path}"))


def in_public(builder: Builder) -> Workspace:
    """A public edition with an evaluation set, real images that it only lists, and rows that are in neither split."""
    stranger = builder.generator("org/stranger", base_model=None, lineage=())
    for prompt in [builder.real("photos", number) for number in (99, 200, 201)]:
        builder.sample(stranger, prompt)
    workspace = builder.write()
    build(
        workspace,
        BuildOptions(edition="public", license_allow=("family=openrail,none",), holdout=("name=org/sketcher",)),
    )
    return workspace


def child(hub: HubProcess, script: str, *arguments: str) -> str:
    """What a script prints that reads from the Hub."""
    variables = environment(hub) | WITHOUT_TENSORS
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], env=variables, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask(hub: HubProcess, path: str) -> Any:
    """What the Hub answers to somebody who may read."""
    request = urllib.request.Request(hub.endpoint + path, headers={"Authorization": f"Bearer {WRITER}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        content = answer.read()
    return json.loads(content) if path.startswith("/api/") else content.decode()


def history(hub: HubProcess, repo_id: str) -> list[str]:
    store = Store(hub.directory)
    repo = store.repo("dataset", repo_id)
    return [commit.id for commit in store.history(repo, store.commit_of(repo, "main"))]


def blob(hub: HubProcess, sha256: str) -> Path:
    return Path(Store(hub.directory).blobs.path(sha256))


def add_by_hand(hub: HubProcess, repo_id: str, content: dict[str, bytes]) -> None:
    Store(hub.directory).commit("dataset", repo_id, add=content, message="by hand", date="2026-01-01T00:00:00.000Z")


def branches(hub: HubProcess, repo_id: str) -> set[str]:
    return set(Store(hub.directory).repo("dataset", repo_id).branches)


def check_whole(hub: HubProcess, repo_id: str) -> int:
    """Each row of the dataset is there once, in the files that SHA256SUMS names; returns their number."""
    shards = {path: sha256 for path, sha256 in files(hub, repo_id).items() if path.startswith("data/")}
    listed = dict(reversed(line.split("  ")) for line in text(hub, repo_id, "SHA256SUMS").splitlines())
    assert shards == {path: sha256 for path, sha256 in listed.items() if path.startswith("data/")}
    hashes = [name for sha256 in shards.values() for name in pq.read_table(blob(hub, sha256))["sha256"].to_pylist()]
    assert len(hashes) == len(set(hashes))
    return len(hashes)
