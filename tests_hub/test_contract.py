"""Reading from the Hub: what `localhub` imitates and `crawler` requests."""

import hashlib
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub import HfApi, constants, get_session
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import build_hf_headers, parse_ratelimit_headers
from huggingface_hub.utils.sha import git_hash

from crawler.hub.client import PAGE_SIZE
from crawler.hub.listing import EXPAND, ListedModel

NOWHERE = "community-forensics/there-is-no-such-model"


def get(path: str, **params: Any) -> httpx2.Response:
    return get_session().get(f"{constants.ENDPOINT}{path}", params=params, headers=build_hf_headers(), timeout=60)


@pytest.fixture(scope="module")
def page() -> httpx2.Response:
    """The first page of the listing of a crawl."""
    return get("/api/models", filter="diffusers", sort="downloads", limit=PAGE_SIZE, expand=list(EXPAND))


@pytest.fixture(scope="module")
def model(page: httpx2.Response) -> ListedModel:
    """The most downloaded model that is not gated and has a card and a model_index.json."""
    api = HfApi()
    for row in page.json():
        listed = ListedModel.parse(row)
        if listed is None or listed.gated or listed.disabled:
            continue
        paths = {sibling.rfilename for sibling in api.model_info(listed.model_name).siblings or ()}
        if {"README.md", "model_index.json"} <= paths:
            return listed
    raise AssertionError("no such model on the first page")


def test_a_page_has_the_requested_size_and_a_link_to_the_next(page: httpx2.Response) -> None:
    rows = page.json()
    assert len(rows) == PAGE_SIZE or "next" not in page.links
    if "next" in page.links:
        following = get_session().get(page.links["next"]["url"], headers=build_hf_headers(), timeout=60).json()
        again = {row["id"] for row in rows} & {row["id"] for row in following}
        assert len(again) < len(rows) / 100, "pages overlap by no more than what moved meanwhile"
        assert following[0]["downloads"] <= rows[0]["downloads"]


def test_models_are_ordered_by_downloads(page: httpx2.Response) -> None:
    downloads = [row["downloads"] for row in page.json()]
    assert downloads == sorted(downloads, reverse=True)


def test_a_row_has_all_requested_fields(page: httpx2.Response) -> None:
    rows = page.json()
    said = set().union(*rows)
    assert set(EXPAND) <= said, f"never said: {set(EXPAND) - said}"
    assert all({"id", "sha", "downloads", "likes", "tags"} <= row.keys() for row in rows)
    assert all("diffusers" in row["tags"] for row in rows)


def test_every_answer_has_the_rate_limit(page: httpx2.Response, model: ListedModel) -> None:
    for answer in (page, get(f"/{model.model_name}/resolve/{model.revision}/README.md")):
        budget = parse_ratelimit_headers(answer.headers)
        assert budget is not None, dict(answer.headers)
        assert budget.remaining >= 0


def test_a_model_has_sizes_and_hashes_of_its_files(model: ListedModel) -> None:
    info = get(f"/api/models/{model.model_name}/revision/{model.revision}", blobs=True).json()
    assert (info["id"], info["sha"]) == (model.model_name, model.revision)
    assert set(EXPAND) - {"downloadsAllTime"} <= {*info, "pipeline_tag"}
    siblings = {sibling["rfilename"]: sibling for sibling in info["siblings"]}
    assert all({"size", "blobId"} <= sibling.keys() for sibling in siblings.values())
    large = [sibling for name, sibling in siblings.items() if name.endswith(".safetensors")]
    assert all(len(sibling["lfs"]["sha256"]) == 64 for sibling in large)
    content = get(f"/{model.model_name}/resolve/{model.revision}/model_index.json").content
    assert git_hash(content) == siblings["model_index.json"]["blobId"]
    assert len(content) == siblings["model_index.json"]["size"]


def test_a_small_file_has_its_git_hash_and_commit(model: ListedModel) -> None:
    address = f"{constants.ENDPOINT}/{model.model_name}/resolve/{model.revision}/README.md"
    head = get_session().head(address, headers={**build_hf_headers(), "Accept-Encoding": "identity"}, timeout=60)
    # The client, too, follows redirects within the Hub only.
    assert head.headers.get("X-Repo-Commit") == model.revision
    assert head.headers["ETag"].strip('W/"') == git_hash(get(httpx2.URL(address).path).content)


def test_the_client_reads_trees_paths_and_files(model: ListedModel, tmp_path: Path) -> None:
    api, name = HfApi(), model.model_name
    tree = {entry.path for entry in api.list_repo_tree(name, revision=model.revision)}
    assert {"README.md", "model_index.json"} <= tree
    assert [found.path for found in api.get_paths_info(name, ["README.md", "none"])] == ["README.md"]
    assert api.file_exists(name, "README.md")
    assert not api.file_exists(name, "none")
    path = Path(api.hf_hub_download(name, "model_index.json", revision=model.revision, cache_dir=tmp_path))
    assert path.resolve().name == git_hash(path.read_bytes())
    assert len(hashlib.sha256(path.read_bytes()).hexdigest()) == 64


def test_missing_things_are_the_clients_own_exceptions(model: ListedModel, tmp_path: Path) -> None:
    api = HfApi()
    with pytest.raises(RepositoryNotFoundError):
        api.model_info(NOWHERE)
    with pytest.raises(RevisionNotFoundError):
        api.model_info(model.model_name, revision="0" * 40)
    with pytest.raises(EntryNotFoundError):
        api.hf_hub_download(model.model_name, "none", cache_dir=tmp_path)
