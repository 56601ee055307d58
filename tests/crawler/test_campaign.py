"""A campaign: thousands of repositories on one Hub, and what the Hub is asked for them."""

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.campaign import build, name_of
from crawler.crawl import crawl
from crawler.hub import PAGE_SIZE, Hub
from crawler.listing import Selection
from localhub.process import HubProcess
from tests.scale import scaled
from workspace.layout import Workspace

REPOSITORIES, RANKED = scaled((300, 120), (20_000, 5_000))
SELECTION = Selection(limit=RANKED, kinds=("checkpoint", "lora", "textual-inversion"))


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    directory = tmp_path_factory.mktemp("campaign")
    build(directory, REPOSITORIES)
    with HubProcess(directory) as running:
        yield running


def test_a_campaign_asks_once_a_page_once_a_model_and_for_four_small_files(
    campaign: HubProcess, tmp_path: Path
) -> None:
    workspace = Workspace.open(tmp_path / "workspace")
    crawled = crawl(workspace, SELECTION, Hub(campaign.endpoint), workers=8)
    assert [entry.model_name for entry in crawled.entries] == [name_of(number) for number in range(RANKED)]
    assert {entry.status for entry in crawled.entries} == {"compatible"}
    assert Counter(entry.kind for entry in crawled.entries)["lora"] == RANKED // 8

    paths = [request["path"] for request in campaign.requests()]
    listing = [path for path in paths if path == "/api/models"]
    of_models = [path for path in paths if path.startswith("/api/models/")]
    resolves = [path for path in paths if "/resolve/" in path]
    print(f"{len(listing)} pages, {len(of_models)} API requests and {len(resolves)} resolves for {RANKED} models")
    assert len(listing) <= math.ceil(RANKED / PAGE_SIZE) + 1
    assert RANKED <= len(of_models) <= 1.02 * RANKED
    assert len(resolves) <= 4 * RANKED
    assert len(paths) == len(listing) + len(of_models) + len(resolves)

    written = workspace.catalog.read_bytes()
    campaign.clear_requests()
    again = crawl(workspace, SELECTION, Hub(campaign.endpoint), workers=8)
    assert (again.new, again.changed, again.gone) == ((), (), ())
    assert len(campaign.requests()) <= 10
    assert workspace.catalog.read_bytes() == written
