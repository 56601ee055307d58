"""A campaign: thousands of repositories on one Hub, and the requests that a crawl sends for them."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from benchmarks.campaign import build, name_of
from crawler.crawl import Crawled, crawl
from crawler.hub.client import PAGE_SIZE
from crawler.options import CrawlOptions
from localhub.process import HubProcess
from tests.scale import scaled, weekly
from workspace.layout import Workspace

REPOSITORIES, RANKED = scaled((300, 120), (20_000, 5_000))
OPTIONS = CrawlOptions(limit=RANKED)


@dataclass(frozen=True)
class First:
    """The first crawl of the campaign, without faults."""

    workspace: Workspace
    crawled: Crawled
    paths: tuple[str, ...]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    directory = tmp_path_factory.mktemp("campaign")
    build(directory, REPOSITORIES)
    with HubProcess(directory) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def _one_moment() -> Iterator[None]:
    """The clock stands still, so that catalogues can be compared by their bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crawler.crawl._now", lambda: "2024-05-06T07:08:09+00:00")
        yield


@pytest.fixture(scope="module")
def first(campaign: HubProcess, tmp_path_factory: pytest.TempPathFactory) -> First:
    workspace = Workspace.open(tmp_path_factory.mktemp("first"))
    crawled = crawl(workspace, replace(OPTIONS, endpoint=campaign.endpoint))
    paths = tuple(request["path"] for request in campaign.requests())
    campaign.clear_requests()
    return First(workspace, crawled, paths)


def test_every_model_is_ranked_and_inspected(first: First) -> None:
    entries = first.crawled.entries
    assert [entry.model_name for entry in entries] == [name_of(number) for number in range(RANKED)]
    assert {entry.status for entry in entries} == {"compatible"}
    assert Counter(entry.kind for entry in entries)["lora"] == RANKED // 8
    assert {entry.hyperparameters.height for entry in entries} == {512}


def test_a_crawl_sends_one_request_per_page_and_per_model_and_at_most_four_for_small_files(first: First) -> None:
    listing = [path for path in first.paths if path == "/api/models"]
    of_models = [path for path in first.paths if path.startswith("/api/models/")]
    resolves = [path for path in first.paths if "/resolve/" in path]
    print(f"{len(listing)} pages, {len(of_models)} API requests and {len(resolves)} resolves for {RANKED} models")
    assert len(listing) <= math.ceil(RANKED / PAGE_SIZE) + 1
    assert RANKED <= len(of_models) <= 1.02 * RANKED
    assert len(resolves) <= 4 * RANKED
    assert len(first.paths) == len(listing) + len(of_models) + len(resolves)


def test_a_second_crawl_requests_only_the_list(first: First, campaign: HubProcess) -> None:
    written = first.workspace.catalog.read_bytes()
    campaign.clear_requests()
    again = crawl(first.workspace, replace(OPTIONS, endpoint=campaign.endpoint))
    assert (again.new, again.changed, again.gone) == ((), (), ())
    assert len(campaign.requests()) <= 10
    assert first.workspace.catalog.read_bytes() == written


@weekly("crawler/test_crawl.py::test_failed_requests_change_nothing")
def test_with_a_tenth_of_all_requests_failing_the_catalogue_has_the_same_bytes(
    first: First, campaign: HubProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 2.0)
    faults = {
        "429": {"kind": "status", "status": 429, "headers": {"Retry-After": "0"}},
        "503": {"kind": "status", "status": 503, "headers": {"Retry-After": "0"}},
        "reset": {"kind": "reset"},
        "stall": {"kind": "stall", "seconds": 6},
        "truncated": {"kind": "drop", "after": 20},
    }
    for seed, fault in enumerate(faults.values()):
        campaign.fail(**fault, probability=0.02, seed=seed)
    spoiled = Workspace.open(tmp_path / "spoiled")
    try:
        crawl(spoiled, replace(OPTIONS, endpoint=campaign.endpoint))
        applied = dict(zip(faults, (rule["applied"] for rule in campaign.faults()), strict=True))
    finally:
        campaign.clear_faults()
    print(f"applied: {applied}")
    assert min(applied.values()) > 0, applied
    assert sum(applied.values()) > 0.07 * len(first.paths), applied
    assert spoiled.catalog.read_bytes() == first.workspace.catalog.read_bytes()
