"""The demo's real images and its tiny captioner, which really tells them apart."""

from pathlib import Path

import pytest

from captioning.blip import Blip
from captioning.generation import Generation
from demo import photographs
from demo.zoo.captioner import REPOSITORY
from tests.forked_limited import limited_processes_are_forked, new_interpreters  # noqa: F401


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scans with captions."""
    folder = tmp_path_factory.mktemp("real") / "digits"
    photographs.write_digits(folder)
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs without captions."""
    folder = tmp_path_factory.mktemp("real") / "photos"
    photographs.write_photos(folder)
    return folder


@pytest.fixture(scope="session")
def blip() -> Blip:
    return Blip(REPOSITORY, "cpu", Generation())
