"""What a Hub answers about one model costs that model's row only, and the row keeps what the answer told."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from crawler.catalog import CatalogEntry
from crawler.crawl import Crawled, crawl
from crawler.options import CrawlOptions
from localhub.process import HubProcess
from localhub.store import Store
from tests.crawler.conftest import ALL
from tests.crawler.repositories import LORA, adapter_card, stable_diffusion
from tests.hubs import fill
from workspace.layout import Workspace

CARD = (
    "---\nlicense: other\nlicense_name: flux-1-dev-non-commercial-license\nbase_model: acme/root\n"
    "library_name: diffusers\n---\n"
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    directory = tmp_path_factory.mktemp("answers")
    repositories = {
        "acme/base": (stable_diffusion("---\nlicense: mit\n---\n"), {}),
        "acme/gated": (stable_diffusion(CARD), {"gated": "manual"}),
        "acme/lora": ({"README.md": adapter_card("lora", "acme/base").encode(), **LORA}, {}),
        "acme/lora-on-gated": ({"README.md": adapter_card("lora", "acme/gated").encode(), **LORA}, {}),
        "acme/lora-gated": ({"README.md": adapter_card("lora", "acme/base").encode(), **LORA}, {"gated": "auto"}),
        "acme/lora-on-renamed": ({"README.md": adapter_card("lora", "old/base").encode(), **LORA}, {}),
        "acme/tune-of-renamed": (stable_diffusion("---\nlicense: mit\nbase_model: old/base\n---\n"), {}),
    }
    for place, (name, (files, settings)) in enumerate(repositories.items()):
        fill(directory, name, files, downloads=1000 - place, **settings)
    with HubProcess(directory) as running:
        yield running


@pytest.fixture
def hub(shared: HubProcess) -> Iterator[HubProcess]:
    yield shared
    shared.clear_faults()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "workspace")


def run(
    workspace: Workspace, hub: HubProcess, *names: str, token: str | None = None, options: CrawlOptions = ALL
) -> dict[str, CatalogEntry]:
    return by_name(crawl(workspace, replace(options, include=names, endpoint=hub.endpoint, token=token)))


def by_name(crawled: Crawled) -> dict[str, CatalogEntry]:
    return {entry.model_name: entry for entry in crawled.entries}


def test_the_row_of_a_gated_model_has_what_the_hub_tells_of_it(workspace: Workspace, hub: HubProcess) -> None:
    rows = run(workspace, hub, "acme/*gated")
    entry = rows["acme/gated"]
    assert (entry.reason, entry.hf_diffusers_tag, entry.task) == ("gated", "StableDiffusionPipeline", "text-to-image")
    assert (entry.license_source, entry.license_family) == ("card", "non-commercial")
    assert (entry.license_name, entry.base_model) == ("flux-1-dev-non-commercial-license", "acme/root")
    assert (rows["acme/lora-gated"].reason, rows["acme/lora-gated"].base_model) == ("gated", "acme/base")


def test_a_token_that_is_set_later_takes_up_the_gated_ones_and_their_adapters(
    workspace: Workspace, hub: HubProcess
) -> None:
    names = ("acme/gated", "acme/lora-gated", "acme/lora-on-gated")
    before = run(workspace, hub, *names)
    assert {name: before[name].reason for name in names} == dict.fromkeys(names, "gated")
    assert "its base model acme/gated" in (before["acme/lora-on-gated"].reason_detail or "")
    after = run(workspace, hub, *names, token="hf_secret")
    assert {name: after[name].reason for name in names} == dict.fromkeys(names)


def test_a_file_that_is_refused_to_a_token_costs_its_row_only(workspace: Workspace, hub: HubProcess) -> None:
    words = "Please enable access to public gated repositories in your fine-grained token settings."
    hub.fail("status", path="^/acme/lora/resolve/", status=403, headers={"X-Error-Message": words})
    rows = run(workspace, hub, "acme/lora", "acme/base", token="hf_fine")
    assert rows["acme/base"].reason is None
    assert rows["acme/lora"].reason == "gated"
    assert words in (rows["acme/lora"].reason_detail or "")
    hub.clear_faults()
    assert run(workspace, hub, "acme/lora", "acme/base", token="hf_fine")["acme/lora"].reason is None


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (451, "disabled", "for legal reasons (status 451: a court)"),
        (500, "hub-error", "failed with status 500: a court"),
    ],
)
def test_an_answer_that_stays_is_in_the_row_in_the_hubs_words_and_soon(
    status: int, reason: str, words: str, workspace: Workspace, hub: HubProcess
) -> None:
    hub.clear_requests()
    hub.fail("status", path="/api/models/acme/lora", status=status, body={"error": "a court"})
    rows = run(workspace, hub, "acme/lora", "acme/base")
    assert rows["acme/base"].reason is None
    assert rows["acme/lora"].reason == reason
    assert words in (rows["acme/lora"].reason_detail or "")
    assert len([request for request in hub.requests() if "/api/models/acme/lora" in request["path"]]) <= 3


def test_a_renamed_base_counts_under_its_present_name(workspace: Workspace, hub: HubProcess) -> None:
    place = {"Location": "/api/models/acme/base?blobs=true"}
    hub.fail("status", path="^/api/models/old/base", status=307, headers=place)
    rows = run(workspace, hub, "acme/*renamed", "acme/base")
    entry, base = rows["acme/lora-on-renamed"], rows["acme/base"]
    assert (entry.reason, entry.base_model, entry.lineage) == (None, "acme/base", ("acme/base",))
    assert (entry.base_revision, entry.base_files) == (base.revision, base.files)
    # A fine-tune's base is not opened, but an adapter's answer tells its present name.
    tune = rows["acme/tune-of-renamed"]
    assert (tune.base_model, tune.lineage) == ("acme/base", ("acme/base",))
    hub.clear_faults()
    written = workspace.catalog.read_bytes()
    run(workspace, hub, "acme/*renamed", "acme/base")
    assert workspace.catalog.read_bytes() == written


def test_a_crawl_of_another_hub_marks_nothing_gone(hub: HubProcess, workspace: Workspace, tmp_path: Path) -> None:
    options = replace(ALL, include=("acme/base", "mine/*"))
    fill(tmp_path / "hub", "mine/own", stable_diffusion("---\nlicense: mit\n---\n"))
    fill(tmp_path / "hub", "mine/other", stable_diffusion("---\nlicense: mit\n---\n"))
    crawl(workspace, replace(options, endpoint=hub.endpoint))
    with HubProcess(tmp_path / "hub") as own:
        crawled = crawl(workspace, replace(options, endpoint=own.endpoint))
        assert crawled.gone == ()
        rows = by_name(crawled)
        assert {name: row.endpoint for name, row in rows.items()} == {
            "acme/base": hub.endpoint,
            "mine/own": own.endpoint,
            "mine/other": own.endpoint,
        }
        assert {row.status for row in rows.values()} == {"compatible"}
        Store(own.directory).delete("model", "mine/other")
        assert crawl(workspace, replace(options, endpoint=own.endpoint)).gone == ("mine/other",)


def test_names_about_which_the_hub_does_not_answer_are_not_missing_ones(
    hub: HubProcess, workspace: Workspace, tmp_path: Path
) -> None:
    hub.fail("status", path="/api/models/acme/lora$", status=500, body={"error": "out of order"})
    hub.fail("status", path=r"/api/models/acme/lora\?", status=500, body={"error": "out of order"})
    names = tmp_path / "names.txt"
    names.write_text("acme/base\nacme/lora\nacme/nowhere\nnot a model\n")
    crawled = crawl(workspace, CrawlOptions(from_file=names, endpoint=hub.endpoint))
    assert [entry.model_name for entry in crawled.entries] == ["acme/base"]
    assert crawled.missing == ("acme/nowhere",)
    (failed,) = crawled.failed
    assert failed.startswith("acme/lora: ")
    assert "status 500: out of order" in failed
    assert crawled.bad_lines == ("line 4: 'not a model' is not a repository id (ORG/NAME)",)
