import shutil
from pathlib import Path
from typing import Any

import pytest

from manifests.report import write_report
from tests.browser import look
from tests.manifests.report.pages import CHARTS, MORE_PICTURES, SEARCHED
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


@pytest.fixture(scope="session")
def seen(reported: Workspace, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The page in a browser: what it is like, and what happens where its parts are used one after the other."""
    parts = {"charts": CHARTS, "searched": SEARCHED, "more": MORE_PICTURES}
    used = ", ".join(f"{name}: (() => {{ {act} }})()" for name, act in parts.items())
    # Beside the page: links of pictures are relative to it.
    page = reported.report / "index.html"
    found = look(page, reported.report, f"return {{{used}}}")
    (reported.report / "probed.html").unlink()
    shutil.rmtree(reported.report / "profile")
    return found
