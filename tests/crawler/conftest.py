"""One Hub with repositories of every kind, for all tests that only read it, and its catalogue."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from crawler.catalog import CatalogEntry
from crawler.crawl import crawl
from crawler.options import CrawlOptions
from localhub.process import HubProcess
from tests.crawler.repositories import wild
from tests.hubs import fill
from workspace.layout import Workspace

#: Every model, with few threads.
ALL = CrawlOptions(limit=1000, workers=4)


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
    crawled = crawl(workspace, replace(ALL, endpoint=wild_hub.endpoint))
    return {entry.model_name: entry for entry in crawled.entries}
