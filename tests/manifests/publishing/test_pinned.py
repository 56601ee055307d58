"""One manifest while it is published, and one process at a time that publishes or builds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from localhub.process import HubProcess
from manifests.building import build
from manifests.manifest import WORK
from manifests.options import BuildOptions
from tests.manifests import commands
from tests.manifests.making import Builder
from tests.manifests.publishing.publishing import blob, files, publish
from workspace.exclusive import alone
from workspace.layout import Workspace

Rows = set[tuple[Any, ...]]
COLUMNS = ["model_name", "real_id", "sha256"]


def rows_of(*paths: Path) -> Rows:
    return {
        tuple(row[name] for name in COLUMNS)
        for path in paths
        for row in pq.read_table(path, columns=COLUMNS).to_pylist()
    }


def published(hub: HubProcess, repo_id: str) -> dict[str, Path]:
    return {path: blob(hub, sha256) for path, sha256 in files(hub, repo_id).items() if path.endswith(".parquet")}


def shards(hub: HubProcess, repo_id: str) -> Rows:
    return rows_of(*(file for path, file in published(hub, repo_id).items() if path.startswith("data/")))


def test_a_manifest_that_is_built_meanwhile_is_not_published_but_by_the_next_run(
    clean: HubProcess, filled: Builder, ready: Workspace, meanwhile: Callable[..., None]
) -> None:
    workspace = ready
    former = rows_of(workspace.manifest / "manifest.parquet")

    def sample_and_build() -> None:
        late = filled.generator("org/late")
        for prompt in filled.prompts["photos"]:
            filled.sample(late, prompt)
        build(filled.write())

    meanwhile(sample_and_build)
    assert publish(clean, workspace, "org/pinned", max_shard_size="12KB").returncode == 0
    assert shards(clean, "org/pinned") == former
    generators = pq.read_table(published(clean, "org/pinned")["metadata/generators.parquet"])
    assert "org/late" not in generators["model_name"].to_pylist()
    newer = rows_of(workspace.manifest / "manifest.parquet")
    assert newer > former

    meanwhile(lambda: None)
    assert publish(clean, workspace, "org/pinned", max_shard_size="12KB").returncode == 0
    assert shards(clean, "org/pinned") == newer


def test_the_full_edition_that_is_built_meanwhile_does_not_become_public(
    clean: HubProcess, filled: Builder, meanwhile: Callable[..., None]
) -> None:
    workspace = filled.write()
    build(workspace, BuildOptions(edition="public", license_allow=("family=openrail,none,family=unknown",)))
    public = rows_of(workspace.manifest / "manifest.parquet")
    listed = (workspace.manifest / "withheld.parquet").read_bytes()
    meanwhile(lambda: build(workspace))
    done = publish(clean, workspace, "org/open", public=True, max_shard_size="12KB")
    assert done.returncode == 0, done.stderr
    assert shards(clean, "org/open") == public
    assert len(pq.read_table(published(clean, "org/open")["metadata/real_images.parquet"])) == 3
    assert listed
    assert not (workspace.manifest / "withheld.parquet").exists()
    refused = publish(clean, workspace, "org/open", public=True)
    assert "--edition public" in refused.stderr


def test_a_second_publisher_is_refused_in_one_line_but_may_look(
    clean: HubProcess, ready: Workspace, meanwhile: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workspace.exclusive.WAIT", 0.05)
    ended = []

    def publish_again() -> None:
        ended.append(publish(clean, ready, "org/twice", dry_run=True))
        ended.append(publish(clean, ready, "org/twice"))

    meanwhile(publish_again)
    assert publish(clean, ready, "org/twice").returncode == 0
    looked, refused = ended
    assert "dry run: would send" in looked.stdout
    assert refused.returncode == 1
    assert "another process is at work (publish: process " in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not list(ready.root.glob(".locks"))


def test_who_builds_excludes_other_builds_and_the_start_of_publishing(
    clean: HubProcess, ready: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workspace.exclusive.WAIT", 0.05)
    before = {path.name: path.read_bytes() for path in ready.manifest.iterdir()}
    with alone(ready, WORK):
        for done in (commands.build(ready.root), publish(clean, ready, "org/never")):
            assert done.returncode == 1
            assert "another process is at work (manifest: process " in done.stderr
            assert done.stderr.count("\n") == 1
    assert {path.name: path.read_bytes() for path in ready.manifest.iterdir()} == before
    assert not files_at(clean, "org/never")
    assert commands.build(ready.root).returncode == 0


@pytest.mark.parametrize("name", ["manifest.parquet", "generators.parquet"])
def test_a_manifest_that_a_disk_has_changed_is_not_published(clean: HubProcess, ready: Workspace, name: str) -> None:
    path = ready.manifest / name
    content = bytearray(path.read_bytes())
    chunk = pq.read_metadata(path).row_group(0).column(0)
    content[chunk.data_page_offset + chunk.total_compressed_size // 2] ^= 1
    path.write_bytes(content)
    refused = publish(clean, ready, "org/changed")
    assert refused.returncode == 1
    assert refused.stderr == f"error: {path} is damaged: run `cf-build-manifest` again\n"
    assert not files_at(clean, "org/changed")


def files_at(hub: HubProcess, repo_id: str) -> bool:
    return (hub.directory / "datasets" / repo_id).exists()
