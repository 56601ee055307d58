"""A crawl of a workspace that was sampled changes no row of what was sampled, and adds with --update alone."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from crawler.catalog import CatalogEntry, read_catalog
from crawler.crawl import Crawled, crawl
from crawler.options import CrawlOptions
from localhub.process import HubProcess
from localhub.store import Store
from tests.crawler.repositories import stable_diffusion, with_class
from tests.hubs import DATE, fill
from workspace import recipe
from workspace.errors import UsageError
from workspace.layout import Workspace


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    for number in range(3):
        fill(tmp_path / "hub", f"acme/m{number}", stable_diffusion(), downloads=100 - number)
    with HubProcess(tmp_path / "hub") as running:
        yield running


@pytest.fixture
def workspace(tmp_path: Path, hub: HubProcess) -> Workspace:
    """The two models with the most downloads, in a round that was sampled."""
    workspace = Workspace.open(tmp_path / "workspace")
    run(workspace, hub)
    recipe.pin(workspace, "sample", {"images": 2})
    return workspace


def run(workspace: Workspace, hub: HubProcess, **options: object) -> Crawled:
    return crawl(workspace, replace(CrawlOptions(limit=2, endpoint=hub.endpoint), **options))  # type: ignore[arg-type]


def rows(workspace: Workspace) -> list[tuple[str, int, int | None]]:
    return [(entry.generator, entry.round, entry.last_round) for entry in read_catalog(workspace)]


def change(hub: HubProcess, name: str) -> str:
    """A commit of the same model; returns the first digits of its name."""
    store = Store(hub.directory)
    return store.commit("model", name, add={"more.txt": b"more"}, message="more", date=DATE)[:12]


def settled(entries: list[CatalogEntry]) -> list[CatalogEntry]:
    """Rows without what the Hub counts."""
    return [replace(entry, rank=0, downloads=0, likes=0) for entry in entries]


def test_without_update_nothing_is_added_and_the_summary_has_the_names(workspace: Workspace, hub: HubProcess) -> None:
    fill(hub.directory, "acme/new", stable_diffusion(), downloads=1000)
    change(hub, "acme/m0")
    before = read_catalog(workspace)
    crawled = run(workspace, hub)
    assert (crawled.not_added, crawled.kept, crawled.new) == (("acme/new",), ("acme/m0",), ())
    assert settled(read_catalog(workspace)) == settled(before)
    assert len(recipe.rounds(workspace)) == 1


def test_update_adds_new_generators_and_new_revisions_in_the_next_round(workspace: Workspace, hub: HubProcess) -> None:
    before = {entry.generator: entry for entry in read_catalog(workspace)}
    commit = change(hub, "acme/m1")
    crawled = run(workspace, hub, limit=3, update=True)
    assert crawled.new == (f"acme/m1@{commit}", "acme/m2")
    assert rows(workspace) == [
        ("acme/m0", 1, None),
        ("acme/m1", 1, None),
        (f"acme/m1@{commit}", 2, None),
        ("acme/m2", 2, None),
    ]
    after = {entry.generator: entry for entry in read_catalog(workspace)}
    assert {name: after[name] for name in before} == before
    assert recipe.rounds(workspace)[1].tables["crawl"]["limit"] == 3


def test_an_update_that_finds_nothing_opens_no_round(workspace: Workspace, hub: HubProcess) -> None:
    for _ in range(2):
        assert run(workspace, hub, update=True).new == ()
    assert len(recipe.rounds(workspace)) == 1


def test_an_update_with_the_same_settings_adds_what_the_hub_has_since(workspace: Workspace, hub: HubProcess) -> None:
    fill(hub.directory, "acme/new", stable_diffusion(), downloads=1000)
    for _ in range(2):
        run(workspace, hub, update=True)
        assert ("acme/new", 2, None) in rows(workspace)
    assert [one.number for one in recipe.rounds(workspace)] == [1, 2]
    # It is there now: a crawl as before keeps it.
    run(workspace, hub)
    assert ("acme/new", 2, None) in rows(workspace)


def test_a_replaced_revision_is_sampled_up_to_the_round_before(workspace: Workspace, hub: HubProcess) -> None:
    commit = change(hub, "acme/m0")
    run(workspace, hub, update=True, replace_revisions=True)
    assert rows(workspace)[:2] == [("acme/m0", 1, 1), (f"acme/m0@{commit}", 2, None)]
    recipe.pin(workspace, "sample", {"images": 2})
    store = Store(hub.directory)
    store.commit("model", "acme/m0", add={"more.txt": b"yet more"}, message="more", date=DATE)
    run(workspace, hub, update=True, replace_revisions=True)
    names = [(name.partition("@")[0], number, last) for name, number, last in rows(workspace)]
    assert names[:3] == [("acme/m0", 1, 1), ("acme/m0", 2, 2), ("acme/m0", 3, None)]


def test_a_new_revision_that_cannot_be_sampled_is_not_added(workspace: Workspace, hub: HubProcess) -> None:
    unknown = stable_diffusion(**with_class("NoSuchPipeline"))
    Store(hub.directory).commit("model", "acme/m0", add=unknown, message="more", date=DATE)
    assert run(workspace, hub, update=True).kept == ("acme/m0",)
    assert rows(workspace) == [("acme/m0", 1, None), ("acme/m1", 1, None)]


def test_other_settings_without_update_are_refused_with_the_round_that_they_would_be(
    workspace: Workspace, hub: HubProcess
) -> None:
    with pytest.raises(UsageError, match=r"\[crawl\] limit was 2, now 3\. .* add --update: .* is then round 2 "):
        run(workspace, hub, limit=3)


def test_replacing_revisions_without_update_is_refused() -> None:
    with pytest.raises(UsageError, match="--replace-revisions is for new revisions, which --update adds"):
        CrawlOptions(replace_revisions=True)
