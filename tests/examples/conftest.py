"""A small Hub, photographs, and programs of one user of the Hub, for all tests of this folder."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from localhub.process import HubProcess
from tests.programs import Programs
from tests.small_hub import environment_of, small_hub, write_photographs


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    write_photographs(folder / "photos")
    return folder


@pytest.fixture(scope="session")
def hub(place: Path) -> Iterator[HubProcess]:
    with small_hub(place / "hub") as hub:
        yield hub


@pytest.fixture(scope="session")
def environment(hub: HubProcess, place: Path) -> dict[str, str]:
    return environment_of(hub, place / "home")


@pytest.fixture(scope="session")
def programs(environment: Mapping[str, str]) -> Programs:
    return Programs(environment)
