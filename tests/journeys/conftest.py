"""A small COCO, and a user who has sampled three tiny generators from its captions.

The Hub and the programs of its user are in `tests/conftest.py`.
"""

import shutil
from pathlib import Path

import pytest

from localhub.process import HubProcess
from tests.journeys.user import User
from tests.programs import Programs
from tests.s3 import s3, s3_server  # noqa: F401 - fixtures
from tests.small_hub import write_coco


@pytest.fixture(scope="session")
def hub(small_hub: HubProcess) -> HubProcess:
    return small_hub


@pytest.fixture(scope="session")
def captioned(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a user who has crawled and captioned."""
    folder = tmp_path_factory.mktemp("captioned")
    write_coco(folder / "coco")
    user = User(programs, folder)
    user.types("cf-crawl --limit 50")
    user.types("cf-caption --source coco=coco")
    return folder


@pytest.fixture(scope="session")
def sampled(captioned: Path, programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, after sampling and building."""
    folder = tmp_path_factory.mktemp("sampled") / "study"
    shutil.copytree(captioned, folder)
    user = User(programs, folder)
    user.types("cf-sample --images 2")
    user.types("cf-build-manifest")
    return folder


@pytest.fixture
def newcomer(programs: Programs, tmp_path: Path) -> User:
    """A user with an empty folder."""
    return User(programs, tmp_path)


@pytest.fixture
def beginner(captioned: Path, programs: Programs, tmp_path: Path) -> User:
    """A user who has crawled and captioned."""
    return User(programs, shutil.copytree(captioned, tmp_path / "study"))


@pytest.fixture
def owner(sampled: Path, programs: Programs, tmp_path: Path) -> User:
    """A user with a finished dataset."""
    return User(programs, shutil.copytree(sampled, tmp_path / "study"))


@pytest.fixture
def sampled_once(sampled: Path, programs: Programs) -> dict[str, bytes]:
    """The images of the finished dataset."""
    return User(programs, sampled).images
