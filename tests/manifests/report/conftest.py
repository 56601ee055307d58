import shutil
from pathlib import Path

import pytest

from manifests.report import write_report
from workspace.layout import Workspace


@pytest.fixture(scope="session")
def reported(built: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with a manifest and its report, for tests that only read it."""
    workspace = Workspace(shutil.copytree(built.root, tmp_path_factory.mktemp("reported") / "workspace"))
    write_report(workspace)
    return workspace


@pytest.fixture
def report(reported: Workspace) -> Path:
    """The page."""
    return reported.report / "index.html"
