from collections.abc import Iterator

import pytest

from localhub.process import HubProcess
from tests.manifests.publishing.publishing import WRITER
from tests.manifests.restoring.editions import Downloads, download_editions


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub"), tokens=[WRITER]) as hub:
        yield hub


@pytest.fixture(scope="session")
def edition(hub: HubProcess, tmp_path_factory: pytest.TempPathFactory) -> Downloads:
    """Downloads that tests only read, or copy."""
    return download_editions(hub, tmp_path_factory.mktemp("viewer"), "viewer", free=True)
