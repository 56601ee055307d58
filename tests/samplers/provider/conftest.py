"""A provider on loopback."""

from collections.abc import Iterator

import pytest

from tests.samplers.provider.server import KEY, Provider, running


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setenv("TEST_KEY", KEY)
    with running(Provider()) as server:
        yield server
