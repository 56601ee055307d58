"""A crawl of twenty models."""

import pytest

from crawler.catalog import read_catalog
from crawler.crawl import Crawled, crawl
from crawler.options import CrawlOptions
from workspace.layout import Workspace

TWENTY = CrawlOptions(limit=20, workers=4)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace.open(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def crawled(workspace: Workspace) -> Crawled:
    return crawl(workspace, TWENTY)


def test_twenty_models_are_ranked_pinned_and_judged(crawled: Crawled, workspace: Workspace) -> None:
    entries = read_catalog(workspace)
    for entry in entries:
        print(f"{entry.rank:3} {entry.model_name}: {entry.reason or entry.status} {entry.reason_detail or ''}")
    assert [entry.rank for entry in entries] == list(range(1, 21))
    assert all(len(entry.revision) == 40 for entry in entries)
    assert "hub-error" not in {entry.reason for entry in entries}
    assert sum(entry.status == "compatible" for entry in entries) >= 5
    assert sum(entry.license_source != "none" for entry in entries) >= 10


def test_files_for_sampling_have_sizes_and_hashes(crawled: Crawled) -> None:
    for entry in crawled.entries:
        if entry.status == "compatible":
            assert entry.download_bytes == sum(file.size for file in entry.all_files) > 0
            assert all(file.sha256 or file.git_oid for file in entry.files)


def test_a_second_crawl_reuses_unchanged_rows(crawled: Crawled, workspace: Workspace) -> None:
    again = {entry.model_name: entry for entry in crawl(workspace, TWENTY).entries}
    same = [entry for entry in crawled.entries if entry.revision == again[entry.model_name].revision]
    assert len(same) >= 15
    assert all(entry.crawled_at == again[entry.model_name].crawled_at for entry in same)
