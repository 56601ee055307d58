import os
import random
import shutil
import signal
import subprocess
import sys
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
from tests.crawler.conftest import ALL
from tests.crawler.repositories import CARD, adapter_card
from tests.hubs import DATE, fill
from tests.scale import scaled
from workspace import recipe, records
from workspace.errors import HubError, UsageError
from workspace.layout import Workspace

# Repositories that are looked into without importing diffusers: crawling them in a child takes a second.
PLAIN = {"README.md": CARD.encode(), "model-Q4.gguf": b"few bits"}


@pytest.fixture(scope="session")
def plain_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty small repositories; to be copied."""
    directory = tmp_path_factory.mktemp("plain")
    for number in range(30):
        fill(directory, f"acme/m{number:02d}", PLAIN, downloads=1000 - number)
    return directory


@pytest.fixture
def plain_hub(tmp_path: Path, plain_directory: Path) -> Iterator[HubProcess]:
    """Thirty small repositories of one's own."""
    shutil.copytree(plain_directory, tmp_path / "hub")
    with HubProcess(tmp_path / "hub") as running:
        yield running


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "workspace")


def run(workspace: Workspace, hub: HubProcess, options: CrawlOptions = ALL) -> Crawled:
    hub.clear_requests()
    return crawl(workspace, replace(options, endpoint=hub.endpoint))


def asked(hub: HubProcess) -> list[str]:
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


def test_a_model_costs_one_api_request_and_its_small_files(workspace: Workspace, plain_hub: HubProcess) -> None:
    run(workspace, plain_hub)
    paths = asked(plain_hub)
    assert len([path for path in paths if path.startswith("/api/models/")]) == 30
    assert len([path for path in paths if "/resolve/" in path]) == 30


def test_files_that_many_models_share_are_read_once(wild_hub: HubProcess, workspace: Workspace) -> None:
    run(workspace, wild_hub, replace(ALL, include=("acme/base", "acme/everything", "acme/halves")))
    assert len([path for path in asked(wild_hub) if path.endswith("unet/config.json")]) == 1
    assert len([path for path in asked(wild_hub) if path.endswith("model_index.json")]) <= 3


def test_an_unchanged_hub_is_asked_for_its_list_only(workspace: Workspace, plain_hub: HubProcess) -> None:
    run(workspace, plain_hub)
    first = workspace.catalog.read_bytes()
    crawled = run(workspace, plain_hub)
    assert asked(plain_hub) == []
    assert workspace.catalog.read_bytes() == first
    assert (crawled.new, crawled.changed, crawled.gone) == ((), (), ())


def test_new_changed_and_vanished_models_are_told_apart(workspace: Workspace, plain_hub: HubProcess) -> None:
    before = {entry.model_name: entry for entry in run(workspace, plain_hub).entries}
    store = Store(plain_hub.directory)
    store.delete("model", "acme/m03")
    fill(plain_hub.directory, "acme/newcomer", PLAIN, downloads=5000)
    revision = commit(plain_hub, "acme/m07", {"README.md": b"---\nlicense: mit\nlibrary_name: diffusers\n---\n"})
    store.update("model", "acme/m09", downloads=9999, likes=7)
    crawled = run(workspace, plain_hub)
    assert (crawled.new, crawled.changed, crawled.gone) == (("acme/newcomer",), ("acme/m07",), ("acme/m03",))
    entries = {entry.model_name: entry for entry in read_catalog(workspace)}
    assert (entries["acme/m07"].revision, entries["acme/m07"].license) == (revision, "MIT")
    assert (entries["acme/m03"].status, entries["acme/m03"].reason) == ("incompatible", "gone")
    assert entries["acme/m03"].files == before["acme/m03"].files
    assert (entries["acme/m09"].rank, entries["acme/m09"].downloads, entries["acme/m09"].likes) == (1, 9999, 7)
    assert entries["acme/m09"].crawled_at == before["acme/m09"].crawled_at
    assert not any("m09" in path or "m00" in path for path in asked(plain_hub))


def test_a_model_that_fell_below_the_limit_keeps_its_row(workspace: Workspace, plain_hub: HubProcess) -> None:
    five = replace(ALL, limit=5)
    run(workspace, plain_hub, five)
    fill(plain_hub.directory, "acme/newcomer", PLAIN, downloads=5000)
    crawled = run(workspace, plain_hub, five)
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
        (entry,) = run(other, hub, replace(ALL, kinds=("checkpoint",))).entries
        assert entry.reason == "other-kind"


def test_another_selection_needs_another_workspace(workspace: Workspace, plain_hub: HubProcess) -> None:
    run(workspace, plain_hub, replace(ALL, limit=5))
    with pytest.raises(UsageError, match="limit was 5, now 6"):
        run(workspace, plain_hub, replace(ALL, limit=6))


def test_one_model_that_the_hub_cannot_answer_for_costs_one_row_and_is_asked_for_again(
    workspace: Workspace, plain_hub: HubProcess
) -> None:
    plain_hub.fail("status", status=500, headers={"Retry-After": "0"}, path="acme/m05")
    reasons = {entry.model_name: entry.reason for entry in run(workspace, plain_hub).entries}
    assert [name for name, reason in reasons.items() if reason == "hub-error"] == ["acme/m05"]
    plain_hub.clear_faults()
    assert all(entry.reason == "quantized-only" for entry in run(workspace, plain_hub).entries)
    assert all("m05" in path for path in asked(plain_hub))


def test_a_hub_that_goes_away_ends_the_crawl_and_loses_nothing(workspace: Workspace, plain_hub: HubProcess) -> None:
    # A refused token speaks of the whole Hub, wherever it happens.
    plain_hub.fail("status", status=403, path="/api/models/", skip=15)
    with pytest.raises(HubError, match="refused"):
        run(workspace, plain_hub)
    assert not workspace.catalog.exists()
    plain_hub.clear_faults()
    run(workspace, plain_hub)
    again = len([path for path in asked(plain_hub) if path.startswith("/api/models/")])
    assert 0 < again <= 20


def test_failing_requests_change_nothing(
    workspace: Workspace, wild_hub: HubProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.5)
    few = replace(ALL, exclude=("acme/custom-*", "acme/no-*"))
    run(workspace, wild_hub, few)
    spoiled = Workspace.open(tmp_path / "spoiled")
    where = r"^/(api/models|acme)"
    wild_hub.fail("status", status=429, headers={"Retry-After": "0"}, path=where, probability=0.04, seed=1)
    wild_hub.fail("status", status=503, headers={"Retry-After": "0"}, path=where, probability=0.04, seed=2)
    wild_hub.fail("reset", path=where, probability=0.02, seed=3)
    wild_hub.fail("drop", path=where, after=20, probability=0.02, seed=4)
    wild_hub.fail("flip", path="/resolve/.*json", after=9, probability=0.02, seed=5)
    wild_hub.fail("stall", path=where, seconds=2, probability=0.01, seed=6)
    try:
        run(spoiled, wild_hub, few)
        assert sum(rule["applied"] for rule in wild_hub.faults()) >= 5
    finally:
        wild_hub.clear_faults()
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for file, crawled in zip(files, (workspace, spoiled), strict=True):
        records.write(file, CatalogEntry, timeless(crawled))
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_crawl_that_is_ended_anywhere_continues(
    end: signal.Signals, workspace: Workspace, plain_hub: HubProcess, tmp_path: Path
) -> None:
    undisturbed = Workspace.open(tmp_path / "undisturbed")
    run(undisturbed, plain_hub)
    plain_hub.fail("throttle", path="/api/models/acme", bytes_per_second=30_000)
    command = [sys.executable, "-m", "crawler.cli", "--workspace", str(workspace.root), "--workers", "1"]
    environment = {**os.environ, **plain_hub.environment()}
    plain_hub.clear_requests()
    child = subprocess.Popen([*command, "--limit", "1000"], env=environment, stderr=subprocess.PIPE, text=True)
    while len(asked(plain_hub)) < 15:
        assert child.poll() is None, child.communicate()
        time.sleep(0.01)
    child.send_signal(end)
    _, said = child.communicate()
    assert child.returncode == (130 if end is signal.SIGTERM else -signal.SIGKILL), said
    assert "Traceback" not in said
    assert not workspace.catalog.exists()
    plain_hub.clear_faults()
    run(workspace, plain_hub)
    again = len([path for path in asked(plain_hub) if path.startswith("/api/models/")])
    assert 0 < again <= 24
    assert timeless(workspace) == timeless(undisturbed)


def test_killed_at_any_moment_a_crawl_ends_in_the_same_catalogue(plain_hub: HubProcess, tmp_path: Path) -> None:
    undisturbed = Workspace.open(tmp_path / "undisturbed")
    run(undisturbed, plain_hub)
    environment = {**os.environ, **plain_hub.environment()}
    # Slow enough for half of the moments to come while models are looked into, the rest before and after.
    plain_hub.fail("throttle", path="/api/models/acme", bytes_per_second=30_000)

    def start(workspace: Workspace) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "crawler.cli", "--workspace", str(workspace.root), "--workers", "2"]
        return subprocess.Popen([*command, "--limit", "1000"], env=environment, stdout=subprocess.DEVNULL)

    started = time.monotonic()
    assert start(Workspace.open(tmp_path / "whole")).wait() == 0
    whole = time.monotonic() - started
    draw = random.Random(3)
    for number in range(scaled(3, 50)):
        workspace = Workspace.open(tmp_path / f"killed-{number}")
        child = start(workspace)
        time.sleep(draw.uniform(0.3, 1.0) * whole)
        child.kill()
        child.wait()
        assert start(workspace).wait() == 0
        assert timeless(workspace) == timeless(undisturbed)
        assert not (workspace.root / ".crawl").exists()


def test_the_token_of_the_options_opens_gated_models(tmp_path: Path, wild_hub: HubProcess) -> None:
    gated = replace(ALL, include=("acme/gated",))
    reasons = [
        run(Workspace.open(tmp_path / str(token)), wild_hub, replace(gated, token=token)).entries[0].reason
        for token in (None, "hf_secret")
    ]
    assert reasons == ["gated", None]


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
