from pathlib import Path

import pytest

from manifests.building import build
from manifests.report import write_report
from tests.manifests.making import Builder, fill
from workspace.layout import Workspace


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with a manifest and its report, for tests that only read it."""
    workspace = fill(Builder(Workspace.open(tmp_path_factory.mktemp("reported") / "workspace"))).write()
    build(workspace)
    write_report(workspace)
    return workspace


@pytest.fixture
def report(reported: Workspace) -> Path:
    """The page."""
    return reported.report / "index.html"
