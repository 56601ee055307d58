"""A provider on loopback, and a key that is derived in no time."""

from collections.abc import Iterator

import pytest

from samplers.provider import sealing
from tests.samplers.provider.server import KEY, Provider, running


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setenv("TEST_KEY", KEY)
    with running(Provider()) as server:
        yield server


@pytest.fixture(autouse=True)
def _no_time_to_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of hundreds of ledgers would take the 50 ms that make a key slow to guess."""
    assert sealing._COST == 2**14
    monkeypatch.setattr(sealing, "_COST", 2)
