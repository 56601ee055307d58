"""A dataset that the stages made, in a workspace, as shards of both layouts in folders, and on a Hub."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from localhub.process import HubProcess
from manifests.building import build
from manifests.manifest import ManifestRow
from manifests.options import BuildOptions
from manifests.publishing.card import GENERATORS_FILE
from manifests.publishing.evaluation import evaluate_by_generator
from manifests.publishing.layouts import layout_of
from manifests.publishing.packing import pack_shards
from manifests.publishing.pinned import pin_manifest
from manifests.publishing.planning import empty_shards, plan_shards
from manifests.tables.generators import generators_path
from tests.forked_limited import limited_processes_are_forked  # noqa: F401
from tests.hubs import fill as fill_hub
from tests.manifests.making import Builder, fill, rows_of
from workspace.layout import Workspace

VIEWER, STUDY = "org/viewer", "org/study"


@dataclass(frozen=True)
class Published:
    """A workspace, a folder with the shards of each layout, and a Hub that has them."""

    workspace: Workspace
    folder: Path
    hub: HubProcess

    @property
    def rows(self) -> list[ManifestRow]:
        return rows_of(self.workspace)


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    """Related generators in training and two without kin that are held out, with photographs beside them."""
    folder = tmp_path_factory.mktemp("detectors")
    builder = fill(Builder(Workspace.open(folder / "workspace")))
    prompts = [builder.real("tests", 300 + number) for number in range(6)]
    for name in ("org/tester", "org/prompter"):
        generator = builder.generator(name, base_model=None, lineage=(), created_at="2025-06-01T00:00:00+00:00")
        for prompt in prompts:
            builder.sample(generator, prompt)
    workspace = builder.write(store="parquet")
    build(workspace, BuildOptions(holdout=("name=org/tester", "name=org/prompter")))
    for repo_id, layout in ((VIEWER, "viewer"), (STUDY, "community-forensics")):
        _pack(workspace, layout, folder / "shards" / repo_id.partition("/")[2], folder / f"pinned-{layout}")
        files = {path.relative_to(root).as_posix(): path.read_bytes() for root, path in _files(folder, repo_id)}
        fill_hub(folder / "hub", repo_id, files, kind="dataset")
    with HubProcess(folder / "hub") as hub:
        yield Published(workspace, folder / "shards", hub)


def _pack(workspace: Workspace, name: str, folder: Path, pinned: Path) -> None:
    layout = layout_of(name)
    space = pin_manifest(workspace, pinned)
    if layout.by_generator:
        evaluate_by_generator(space)
    shards = plan_shards(space, layout, 60_000)
    for part in ("data", "metadata"):
        (folder / part).mkdir(parents=True)
    for _ in pack_shards(space, layout, [*shards, *empty_shards(layout, shards)], folder / "data"):
        pass
    (folder / GENERATORS_FILE).write_bytes(generators_path(workspace).read_bytes())


def _files(folder: Path, repo_id: str) -> Iterator[tuple[Path, Path]]:
    root = folder / "shards" / repo_id.partition("/")[2]
    for path in sorted(root.rglob("*.parquet")):
        yield root, path
