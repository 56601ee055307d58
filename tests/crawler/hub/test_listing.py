import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.choice import Choice
from crawler.generator_names import GeneratorNames
from crawler.hub.client import Hub
from crawler.hub.listing import ListedModel, Selection, list_models
from crawler.options import Kind
from localhub.process import HubProcess
from tests.crawler.repositories import wild
from tests.crawler.servers import Answer, serving
from workspace.hub_access import HubAccess
from workspace.layout import generator_folder

KINDS: tuple[Kind, ...] = ("checkpoint", "lora", "textual-inversion")


def row(name: str, downloads: int = 1, **more: Any) -> dict[str, Any]:
    return {"id": name, "sha": "0" * 40, "downloads": downloads, "likes": 0, "tags": ["diffusers"], **more}


def names(hub: HubProcess, **selection: Any) -> list[str]:
    chosen = Selection(**{"limit": 1000, "kinds": KINDS, **selection})
    return [listed.model_name for listed in list_models(Hub(HubAccess(hub.endpoint)), chosen).models]


def test_all_models_are_listed_by_downloads(wild_hub: HubProcess) -> None:
    assert names(wild_hub) == list(wild())


def test_the_limit_keeps_the_most_downloaded(wild_hub: HubProcess) -> None:
    assert names(wild_hub, limit=3) == list(wild())[:3]


def test_models_with_few_downloads_are_skipped(wild_hub: HubProcess) -> None:
    assert names(wild_hub, min_downloads=9_980) == list(wild())[:3]


def test_tags_tell_the_kind(wild_hub: HubProcess) -> None:
    assert all("lora" in name for name in names(wild_hub, kinds=("lora",)))
    assert names(wild_hub, kinds=("textual-inversion",)) == ["acme/concept", "acme/concept-pickle"]


def test_patterns_include_and_exclude_names(wild_hub: HubProcess) -> None:
    choice = Choice(only=GeneratorNames(("*/custom-*", "*/base")), exclude=GeneratorNames(("*-unet",)))
    assert names(wild_hub, choice=choice) == ["acme/base", "acme/custom-pipeline"]
    found = list_models(Hub(HubAccess(wild_hub.endpoint)), Selection(limit=1000, kinds=KINDS, choice=choice))
    # What a name leaves out is counted; `--exclude` counts among those that `--only` names.
    assert found.left_out == {"--exclude": 1, "--only": len(wild()) - 3}


def test_an_author_has_only_their_own_models(wild_hub: HubProcess) -> None:
    assert names(wild_hub, author="nobody") == []


def test_listing_takes_one_request_per_page_and_none_per_model(wild_hub: HubProcess) -> None:
    wild_hub.clear_requests()
    names(wild_hub)
    assert [request["path"] for request in wild_hub.requests()] == ["/api/models"]


def test_a_model_on_two_pages_counts_once() -> None:
    pages = [[row("a/one", 9), row("a/two", 8)], [row("a/two", 8), row("a/three", 7)], []]

    def answer(path: str) -> Answer:
        number = int(path.partition("page=")[2] or 0)
        link = {"Link": f'<{endpoint}/api/models?page={number + 1}>; rel="next"'} if number < 2 else {}
        return 200, link, json.dumps(pages[number]).encode()

    with serving(answer) as endpoint:
        listed = list_models(Hub(HubAccess(endpoint)), Selection(limit=10, kinds=KINDS)).models
    assert [model.model_name for model in listed] == ["a/one", "a/two", "a/three"]


def test_equal_downloads_are_ordered_by_name() -> None:
    rows = json.dumps([row("b/b"), row("a/z"), row("a/a")]).encode()
    with serving(lambda _path: (200, {}, rows)) as endpoint:
        listed = list_models(Hub(HubAccess(endpoint)), Selection(limit=10, kinds=KINDS)).models
    assert [model.model_name for model in listed] == ["a/a", "a/z", "b/b"]


@pytest.mark.parametrize(
    "bad",
    [
        None,
        [],
        {},
        {"id": "a/b"},
        {"id": 3, "sha": "0"},
        row("../../etc/passwd"),
        row("a/b/c"),
        row("a--b/c"),
        row("a/b\n"),
        {**row("a/b"), "sha": None},
    ],
)
def test_a_row_without_a_valid_name_and_commit_is_skipped(bad: Any) -> None:
    assert ListedModel.parse(bad) is None


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*row("a/b"), "gated", "disabled", "createdAt", "pipeline_tag"]), json_like))
def test_rows_of_any_types_are_read_or_skipped(changes: dict[str, Any]) -> None:
    listed = ListedModel.parse({**row("a/b"), **changes})
    if listed is not None:
        assert generator_folder(listed.model_name)
        assert listed.downloads >= 0
        assert listed.gated in (None, "auto", "manual")
        assert all(isinstance(tag, str) for tag in listed.tags)


def test_the_test_repositories_have_every_kind(tmp_path: Path, wild_hub: HubProcess) -> None:
    listed = list_models(Hub(HubAccess(wild_hub.endpoint)), Selection(limit=1000, kinds=KINDS)).models
    assert {model.kind for model in listed} == set(KINDS)
    assert {model.gated for model in listed} == {None, "manual"}
    assert any(model.disabled for model in listed)
