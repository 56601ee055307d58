import json
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localhub.listing import SORTS, Listing, Query
from localhub.metadata import Metadata
from localhub.records import Commit, Repo
from localhub.request_errors import BadRequest
from localhub.store import Store
from tests.hubs import DATE


def everybody(_repo: Repo) -> bool:
    return True


def write(store: Store, number: int, *, downloads: int) -> None:
    """Write a repository without the flushes of `Store.create`, which take long for thousands."""
    repo_id = f"zoo/m{number:05}"
    folder = store.root / "models" / repo_id
    (folder / "commits").mkdir(parents=True)
    tags = ["diffusers", "license:mit", f"odd:{number % 2}"]
    metadata = Metadata(card={"license": "mit", "text": "x" * 300}, tags=tags, library_name="diffusers")
    commit = Commit(f"{number:040x}", None, "m", DATE, "me", {}, metadata)
    (folder / "commits" / f"{commit.id}.json").write_bytes(commit.to_json())
    repo = Repo("model", repo_id, DATE, downloads=downloads, branches={"main": commit.id})
    (folder / "repo.json").write_text(json.dumps(repo.to_json()))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("many"))
    for number in range(300):
        write(store, number, downloads=number // 7)
    return store


def pages(listing: Listing, **query: object) -> list[list[str]]:
    found, cursor = [], None
    while True:
        page, cursor = listing.page("model", Query(cursor=cursor, **query), everybody)  # type: ignore[arg-type]
        found.append([entry.repo.id for entry in page])
        if cursor is None:
            return found


@settings(max_examples=30)
@given(st.sampled_from(list(SORTS)), st.integers(1, 400))
def test_pages_of_any_size_give_every_repository_once_and_in_order(store: Store, sort: str, limit: int) -> None:
    listing = Listing(store)
    found = pages(listing, sort=sort, limit=limit)
    ids = [repo_id for page in found for repo_id in page]
    assert all(len(page) == limit for page in found[:-1])
    expected = [f"zoo/m{number:05}" for number in range(300)]
    if sort == "downloads":
        expected.sort(key=lambda repo_id: -(int(repo_id[5:]) // 7))
    assert ids == expected


def test_all_conditions_must_be_met(store: Store) -> None:
    listing = Listing(store)
    found = pages(listing, filters=("odd:1", "diffusers"), search=("M0001",), author="ZOO", library="diffusers")
    assert found == [["zoo/m00011", "zoo/m00013", "zoo/m00015", "zoo/m00017", "zoo/m00019"]]
    assert pages(listing, filters=("odd:1", "odd:0")) == [[]]
    assert pages(listing, pipeline_tag="text-to-image") == [[]]
    assert pages(listing, gated=True) == [[]]


def test_a_cursor_stays_valid_when_its_repository_is_deleted(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number in range(6):
        store.create("model", f"zoo/m{number}", downloads=10 - number)
    listing = Listing(store)
    first, cursor = listing.page("model", Query(sort="downloads", limit=3), everybody)
    store.delete("model", "zoo/m2")
    store.create("model", "zoo/new", downloads=99)
    store.update("model", "zoo/m5", downloads=7)
    second, _ = listing.page("model", Query(sort="downloads", cursor=cursor), everybody)
    assert [entry.repo.id for entry in first + second] == [f"zoo/m{number}" for number in (0, 1, 2, 3, 5, 4)]


@pytest.mark.parametrize("cursor", ["", "x", "W10=", "WzEsMiwzXQ==", "Wyd4J10=", "WyJ4IiwieCJd"])
def test_an_invalid_cursor_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(BadRequest):
        Listing(store).page("model", Query(sort="downloads", cursor=cursor), everybody)


def test_changes_of_another_process_are_listed(tmp_path: Path) -> None:
    store, other = Store(tmp_path), Store(tmp_path)
    listing = Listing(store)
    assert pages(listing) == [[]]
    other.create("model", "zoo/a")
    other.commit("model", "zoo/a", add={"config.json": b'{"model_type": "x"}'}, message="m", date=DATE)
    assert pages(listing, filters=("transformers",)) == [["zoo/a"]]
    other.delete("model", "zoo/a")
    assert pages(listing) == [[]]


def test_thousands_are_listed_quickly_and_a_change_does_not_read_them_all_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number in range(3000):
        write(store, number, downloads=number)
    listing = Listing(store)
    listing.count("model")
    started = time.process_time()
    assert [len(page) for page in pages(listing, sort="downloads", filters=("diffusers",))] == [1000, 1000, 1000]
    assert time.process_time() - started < 0.5
    store.update("model", "zoo/m01500", downloads=10**6)
    started = time.process_time()
    assert pages(listing, sort="downloads")[0][0] == "zoo/m01500"
    assert time.process_time() - started < 0.5


def test_a_directory_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "hub")
    listing = Listing(store)
    for name in ("zoo/former", "zoo/of-both", "zoo/another"):
        store.create("model", name)
    assert pages(listing) == [["zoo/another", "zoo/former", "zoo/of-both"]]
    shutil.rmtree(tmp_path / "hub")
    store.create("model", "zoo/of-both")
    assert pages(listing) == [["zoo/of-both"]]


def test_an_unknown_order_is_refused_with_the_known_ones(store: Store) -> None:
    with pytest.raises(BadRequest, match="'name': it must be one of downloads, likes"):
        Listing(store).page("model", Query(sort="name"), everybody)
