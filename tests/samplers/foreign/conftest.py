"""One process that examines, for all tests of this room."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.zoo.safety import feature_extractor, safety_checker
from samplers.foreign.examiner import Examiner
from workspace.layout import Workspace


@pytest.fixture(scope="session")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A safety checker that flags magenta."""
    folder = tmp_path_factory.mktemp("checker")
    safety_checker().save_pretrained(folder)
    feature_extractor().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def examiner(checker: Path) -> Iterator[Examiner]:
    with Examiner(lambda: checker, device="cpu") as running:
        yield running


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "workspace")
