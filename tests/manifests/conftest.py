import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from manifests.building import build
from tests.forked_limited import limited_processes_are_forked  # noqa: F401
from tests.manifests.making import Builder, fill
from workspace.layout import Workspace


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(Workspace.open(tmp_path / "workspace"))


@pytest.fixture
def filled(builder: Builder) -> Builder:
    return fill(builder)


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[str], Builder]:
    """More workspaces, each with another root."""
    return lambda name: fill(Builder(Workspace.open(tmp_path / name / "workspace")))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with its manifest, made once; it stays as it is."""
    workspace = fill(Builder(Workspace.open(tmp_path_factory.mktemp("built") / "workspace"))).write()
    build(workspace)
    return workspace


@pytest.fixture
def ready(filled: Builder, built: Workspace) -> Workspace:
    """That of `filled` with its manifest."""
    shutil.copytree(built.root, filled.workspace.root, dirs_exist_ok=True)
    return filled.workspace
