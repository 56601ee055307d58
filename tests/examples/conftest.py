"""Photographs for all tests of this folder; the Hub and the programs of its user are in `tests/conftest.py`."""

from pathlib import Path

import pytest

from localhub.process import HubProcess
from tests.small_hub import write_photographs


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photographs and a caption beside each; those of the quickstart have none."""
    folder = tmp_path_factory.mktemp("examples")
    write_photographs(folder / "photos")
    for photograph in [*(folder / "photos").iterdir()]:
        photograph.with_suffix(".txt").write_text(f"a photograph called {photograph.stem}\n")
    return folder


@pytest.fixture(scope="session")
def hub(small_hub: HubProcess) -> HubProcess:
    return small_hub
