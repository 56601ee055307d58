import random
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from crawler.catalog import CatalogEntry, read_catalog
from crawler.crawl import Crawled, crawl
from crawler.options import CrawlOptions
from localhub.process import HubProcess
from localhub.store import Store
from samplers.sample import Sample
from tests.crawler.commands import start
from tests.crawler.conftest import ALL
from tests.crawler.repositories import CARD, adapter_card
from tests.forking import Forked
from tests.hubs import DATE, fill
from tests.scale import scaled
from workspace import recipe, records
from workspace.errors import CommunityForensicsError, HubError, UsageError
from workspace.exclusive import alone
from workspace.layout import Workspace, part_name

# Repositories whose pipeline class is not needed: crawling them in a child takes a second.
PLAIN = {"README.md": CARD.encode(), "model-Q4.gguf": b"few bits"}


@pytest.fixture(scope="module")
def shared_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """Thirty small repositories."""
    directory = tmp_path_factory.mktemp("plain")
    for number in range(30):
        fill(directory, f"acme/m{number:02d}", PLAIN, downloads=1000 - number)
    with HubProcess(directory) as running:
        yield running


@pytest.fixture
def plain_hub(shared_hub: HubProcess) -> Iterator[HubProcess]:
    """Thirty small repositories that a test only reads, without faults before and after."""
    shared_hub.clear_requests()
    yield shared_hub
    shared_hub.clear_faults()


@pytest.fixture
def own_hub(tmp_path: Path, shared_hub: HubProcess) -> Iterator[HubProcess]:
    """Thirty small repositories that a test may change."""
    shutil.copytree(shared_hub.directory, tmp_path / "hub")
    with HubProcess(tmp_path / "hub") as running:
        yield running


@pytest.fixture(scope="module")
def undisturbed(shared_hub: HubProcess, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A crawl of the thirty repositories that nothing interrupted."""
    workspace = Workspace.open(tmp_path_factory.mktemp("undisturbed"))
    run(workspace, shared_hub)
    return workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "workspace")


def run(workspace: Workspace, hub: HubProcess, options: CrawlOptions = ALL, token: str | None = None) -> Crawled:
    hub.clear_requests()
    return crawl(workspace, replace(options, endpoint=hub.endpoint, token=token))


def requested(hub: HubProcess) -> list[str]:
    """Paths of all requests except for the list of models."""
    return [request["path"] for request in hub.requests() if request["path"] != "/api/models"]


def timeless(workspace: Workspace) -> list[CatalogEntry]:
    return [replace(entry, crawled_at="") for entry in read_catalog(workspace)]


def commit(hub: HubProcess, name: str, files: dict[str, bytes]) -> str:
    return Store(hub.directory).commit("model", name, add=files, message="more", date=DATE)


def test_the_catalogue_is_written_by_rank_from_one(workspace: Workspace, plain_hub: HubProcess) -> None:
    run(workspace, plain_hub, replace(ALL, limit=5))
    entries = read_catalog(workspace)
    assert [(entry.rank, entry.model_name) for entry in entries] == [(n + 1, f"acme/m{n:02d}") for n in range(5)]
    assert not (workspace.root / ".crawl").exists()


def test_a_model_takes_one_api_request_and_its_small_files(workspace: Workspace, plain_hub: HubProcess) -> None:
    run(workspace, plain_hub)
    paths = requested(plain_hub)
    assert len([path for path in paths if path.startswith("/api/models/")]) == 30
    assert len([path for path in paths if "/resolve/" in path]) == 30


def test_identical_files_of_many_models_are_read_once(wild_hub: HubProcess, workspace: Workspace) -> None:
    run(workspace, wild_hub, replace(ALL, include=("acme/base", "acme/everything", "acme/halves")))
    assert len([path for path in requested(wild_hub) if path.endswith("unet/config.json")]) == 1
    assert len([path for path in requested(wild_hub) if path.endswith("model_index.json")]) <= 3


def test_a_second_crawl_requests_only_the_list(workspace: Workspace, plain_hub: HubProcess) -> None:
    run(workspace, plain_hub)
    first = workspace.catalog.read_bytes()
    crawled = run(workspace, plain_hub)
    assert requested(plain_hub) == []
    assert workspace.catalog.read_bytes() == first
    assert (crawled.new, crawled.changed, crawled.gone) == ((), (), ())


def test_new_changed_and_gone_models_are_reported(workspace: Workspace, own_hub: HubProcess) -> None:
    before = {entry.model_name: entry for entry in run(workspace, own_hub).entries}
    store = Store(own_hub.directory)
    store.delete("model", "acme/m03")
    fill(own_hub.directory, "acme/newcomer", PLAIN, downloads=5000)
    revision = commit(own_hub, "acme/m07", {"README.md": b"---\nlicense: mit\nlibrary_name: diffusers\n---\n"})
    store.update("model", "acme/m09", downloads=9999, likes=7)
    crawled = run(workspace, own_hub)
    assert (crawled.new, crawled.changed, crawled.gone) == (("acme/newcomer",), ("acme/m07",), ("acme/m03",))
    entries = {entry.model_name: entry for entry in read_catalog(workspace)}
    assert (entries["acme/m07"].revision, entries["acme/m07"].license) == (revision, "MIT")
    assert (entries["acme/m03"].status, entries["acme/m03"].reason) == ("incompatible", "gone")
    assert entries["acme/m03"].files == before["acme/m03"].files
    assert (entries["acme/m09"].rank, entries["acme/m09"].downloads, entries["acme/m09"].likes) == (1, 9999, 7)
    assert entries["acme/m09"].crawled_at == before["acme/m09"].crawled_at
    assert not any("m09" in path or "m00" in path for path in requested(own_hub))


def test_a_sampled_generator_keeps_its_row_when_it_changes_or_disappears_on_the_hub(
    workspace: Workspace, own_hub: HubProcess
) -> None:
    before = {entry.model_name: entry for entry in run(workspace, own_hub).entries}
    for name in ("acme/m03", "acme/m07"):
        records.write(workspace.samples_of(name) / part_name(0), Sample, [])
    Store(own_hub.directory).delete("model", "acme/m03")
    for name in ("acme/m07", "acme/m08"):
        commit(own_hub, name, {"README.md": b"---\nlicense: mit\nlibrary_name: diffusers\n---\n"})
    crawled = run(workspace, own_hub)
    assert (crawled.changed, crawled.gone, crawled.kept) == (("acme/m08",), (), ("acme/m03", "acme/m07"))
    entries = {entry.model_name: entry for entry in crawled.entries}
    for name in ("acme/m03", "acme/m07"):
        assert replace(entries[name], rank=before[name].rank) == before[name]


def test_a_model_that_fell_below_the_limit_keeps_its_row(workspace: Workspace, own_hub: HubProcess) -> None:
    five = replace(ALL, limit=5)
    run(workspace, own_hub, five)
    fill(own_hub.directory, "acme/newcomer", PLAIN, downloads=5000)
    crawled = run(workspace, own_hub, five)
    assert crawled.entries[5].model_name == "acme/m04"
    assert crawled.entries[5].reason != "gone"
    assert [entry.rank for entry in crawled.entries] == [1, 2, 3, 4, 5, 6]


def test_a_lora_found_by_its_file_alone_is_a_lora(workspace: Workspace, tmp_path: Path) -> None:
    card = adapter_card("text-to-image", "acme/nowhere").encode()
    fill(tmp_path / "hub", "acme/untagged", {"README.md": card, "pytorch_lora_weights.safetensors": b"w"})
    with HubProcess(tmp_path / "hub") as hub:
        (entry,) = run(workspace, hub).entries
        assert entry.kind == "lora"
        other = Workspace.open(tmp_path / "other")
        assert run(other, hub, replace(ALL, kinds=("checkpoint",))).entries == ()


def test_other_options_need_another_workspace(workspace: Workspace, plain_hub: HubProcess) -> None:
    run(workspace, plain_hub, replace(ALL, limit=5))
    with pytest.raises(UsageError, match="limit was 5, now 6"):
        run(workspace, plain_hub, replace(ALL, limit=6))


def test_a_model_without_a_response_costs_one_row_and_is_requested_again(
    workspace: Workspace, plain_hub: HubProcess
) -> None:
    plain_hub.fail("status", status=500, headers={"Retry-After": "0"}, path="acme/m05")
    reasons = {entry.model_name: entry.reason for entry in run(workspace, plain_hub).entries}
    assert [name for name, reason in reasons.items() if reason == "hub-error"] == ["acme/m05"]
    plain_hub.clear_faults()
    assert all(entry.reason == "quantized-only" for entry in run(workspace, plain_hub).entries)
    assert all("m05" in path for path in requested(plain_hub))


def test_a_refused_token_ends_the_crawl_and_finished_rows_are_kept(workspace: Workspace, plain_hub: HubProcess) -> None:
    # After a refused token no other request can succeed.
    plain_hub.fail("status", status=403, path="/api/models/", skip=15)
    with pytest.raises(HubError, match="refused"):
        run(workspace, plain_hub)
    assert not workspace.catalog.exists()
    plain_hub.clear_faults()
    run(workspace, plain_hub)
    again = len([path for path in requested(plain_hub) if path.startswith("/api/models/")])
    assert 0 < again <= 20


def test_failed_requests_change_nothing(
    workspace: Workspace, wild_hub: HubProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 2.0)
    few = replace(ALL, exclude=("acme/custom-*", "acme/no-*"))
    run(workspace, wild_hub, few)
    spoiled = Workspace.open(tmp_path / "spoiled")
    where = r"^/(api/models|acme)"
    wild_hub.fail("status", status=429, headers={"Retry-After": "0"}, path=where, probability=0.04, seed=1)
    wild_hub.fail("status", status=503, headers={"Retry-After": "0"}, path=where, probability=0.04, seed=2)
    wild_hub.fail("reset", path=where, probability=0.02, seed=3)
    wild_hub.fail("drop", path=where, after=20, probability=0.02, seed=4)
    wild_hub.fail("flip", path="/resolve/.*json", after=9, probability=0.02, seed=5)
    wild_hub.fail("stall", path=where, seconds=6, probability=0.01, seed=6)
    try:
        run(spoiled, wild_hub, few)
        assert sum(rule["applied"] for rule in wild_hub.faults()) >= 5
    finally:
        wild_hub.clear_faults()
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for file, crawled in zip(files, (workspace, spoiled), strict=True):
        records.write(file, CatalogEntry, timeless(crawled))
    assert files[0].read_bytes() == files[1].read_bytes()


def command(workspace: Workspace, workers: int) -> list[str]:
    return ["--workspace", str(workspace.root), "--workers", str(workers), "--limit", "1000"]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_an_interrupted_crawl_continues(
    end: signal.Signals, workspace: Workspace, plain_hub: HubProcess, undisturbed: Workspace, tmp_path: Path
) -> None:
    plain_hub.fail("throttle", path="/api/models/acme", bytes_per_second=30_000)
    plain_hub.clear_requests()
    errors = tmp_path / "errors"
    child = start(plain_hub.environment(), errors, *command(workspace, 1))
    while len(requested(plain_hub)) < 15:
        assert child.poll() is None, errors.read_text()
        time.sleep(0.01)
    child.send_signal(end)
    code, stderr = child.wait(), errors.read_text()
    assert code == (75 if end is signal.SIGTERM else -signal.SIGKILL), stderr
    assert "Traceback" not in stderr
    assert not workspace.catalog.exists()
    plain_hub.clear_faults()
    run(workspace, plain_hub)
    again = len([path for path in requested(plain_hub) if path.startswith("/api/models/")])
    assert 0 < again <= 24
    assert timeless(workspace) == timeless(undisturbed)


def test_killed_at_any_moment_a_crawl_ends_in_the_same_catalogue(
    plain_hub: HubProcess, undisturbed: Workspace, tmp_path: Path
) -> None:
    # Slow enough that half of the kills happen during the inspection of models, the others before and after.
    slow = {"path": "/api/models/acme", "bytes_per_second": 40_000}
    plain_hub.fail("throttle", **slow)

    def crawl_there(workspace: Workspace) -> Forked:
        return start(plain_hub.environment(), tmp_path / "errors", *command(workspace, 2))

    assert start(plain_hub.environment(), tmp_path / "errors", "--version").wait() == 0  # starts the server, too
    started = time.monotonic()
    assert crawl_there(Workspace.open(tmp_path / "whole")).wait() == 0
    whole = time.monotonic() - started
    draw = random.Random(3)
    for number in range(scaled(2, 50)):
        workspace = Workspace.open(tmp_path / f"killed-{number}")
        child = crawl_there(workspace)
        time.sleep(draw.uniform(0.3, 1.0) * whole)
        child.kill()
        child.wait()
        plain_hub.clear_faults()
        run(workspace, plain_hub)
        plain_hub.fail("throttle", **slow)
        assert timeless(workspace) == timeless(undisturbed)
        assert not (workspace.root / ".crawl").exists()


def test_gated_models_are_inspected_again_with_a_token(workspace: Workspace, wild_hub: HubProcess) -> None:
    gated = replace(ALL, include=("acme/gated", "acme/base"))
    reasons = []
    for token in (None, "hf_secret", None):
        reasons.append({entry.model_name: entry.reason for entry in run(workspace, wild_hub, gated, token).entries})
        requests = requested(wild_hub)
    assert [found["acme/gated"] for found in reasons] == ["gated", None, None]
    # Without a token nothing can have changed.
    assert requests == []


def test_a_file_without_a_limit_names_how_many_models(tmp_path: Path, plain_hub: HubProcess) -> None:
    names = tmp_path / "names.csv"
    names.write_text("model_name\nacme/m07\nacme/m03\n")
    workspace = Workspace.open(tmp_path / "named")
    options = CrawlOptions(endpoint=plain_hub.endpoint, from_file=names)
    assert [entry.model_name for entry in crawl(workspace, options).entries] == ["acme/m03", "acme/m07"]
    assert recipe.read(workspace)["crawl"]["limit"] == 2


def test_the_recipe_holds_every_option_that_selects_models(workspace: Workspace, plain_hub: HubProcess) -> None:
    run(workspace, plain_hub, CrawlOptions(author="acme", include=("*/m0*",), exclude=("*/m09",), min_downloads=998))
    assert recipe.read(workspace)["crawl"] == {
        "author": "acme",
        "exclude": ["*/m09"],
        "include": ["*/m0*"],
        "kinds": ["checkpoint", "lora", "textual-inversion"],
        "limit": 5000,
        "min_downloads": 998,
    }


def test_a_second_crawl_of_the_workspace_is_refused_in_one_line(
    workspace: Workspace, plain_hub: HubProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workspace.exclusive.WAIT", 0.05)
    with alone(workspace, "crawling"), pytest.raises(CommunityForensicsError, match=r"at work \(crawling") as refused:
        run(workspace, plain_hub)
    assert "\n" not in str(refused.value)
    assert not workspace.catalog.exists()
    run(workspace, plain_hub)
