"""Workspaces with everything in them that names a generator."""

import shutil
from pathlib import Path

import pytest

from manifests.stage import build_manifest
from tests.manifests.making import Builder
from tests.upkeep.campaign import campaign
from workspace.layout import Workspace


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """With a manifest and a report. Only to be copied."""
    builder = campaign(tmp_path_factory.mktemp("campaign") / "workspace")
    build_manifest(builder.workspace)
    return builder


@pytest.fixture
def workspace(template: Builder, tmp_path: Path) -> Workspace:
    """A copy that a test may change."""
    shutil.copytree(template.workspace.root, tmp_path / "workspace")
    return Workspace(tmp_path / "workspace")
