"""One wild Hub for all tests that only read it, and its catalogue."""

from collections.abc import Iterator

import pytest

from crawler.catalog import CatalogEntry
from crawler.crawl import crawl
from crawler.hub.client import Hub
from crawler.hub.listing import Selection
from localhub.process import HubProcess
from tests.crawler.repositories import wild
from tests.hubs import fill
from workspace.layout import Workspace

ALL = Selection(limit=1000, kinds=("checkpoint", "lora", "textual-inversion"))


@pytest.fixture(scope="session")
def wild_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """Read only."""
    directory = tmp_path_factory.mktemp("wild")
    for name, (files, settings) in wild().items():
        fill(directory, name, files, **settings)
    with HubProcess(directory) as running:
        yield running


@pytest.fixture(scope="session")
def catalog(wild_hub: HubProcess, tmp_path_factory: pytest.TempPathFactory) -> dict[str, CatalogEntry]:
    workspace = Workspace.open(tmp_path_factory.mktemp("workspace"))
    crawled = crawl(workspace, ALL, Hub(wild_hub.endpoint), workers=4)
    return {entry.model_name: entry for entry in crawled.entries}
