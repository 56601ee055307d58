import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from crawler.catalog import read_catalog
from crawler.cli import main
from crawler.crawl import crawl
from crawler.explanation import print_explanation
from crawler.options import CrawlOptions
from localhub.process import HubProcess
from tests.crawler.repositories import CARD, stable_diffusion
from tests.hubs import fill
from tests.manifests.commands import Done, run
from workspace.errors import UsageError
from workspace.layout import Workspace

QUANTIZED = {"README.md": CARD.encode(), "model.gguf": b"few bits"}


def without_hub(workspace: Path, *arguments: str) -> Done:
    """cf-crawl in this process, which asks no Hub."""
    with mock.patch.dict(os.environ, COLUMNS="100"):
        return run(main, "--workspace", str(workspace), *arguments)


def cf_crawl(endpoint: str, workspace: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """cf-crawl in a process of its own: huggingface_hub reads HF_ENDPOINT when it is imported."""
    command = [sys.executable, "-m", "crawler.cli", "--workspace", str(workspace), *arguments]
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "COLUMNS": "100"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """Four models, one of them gated; read only."""
    directory = tmp_path_factory.mktemp("cli-hub")
    for number in range(3):
        fill(directory, f"acme/m{number}", QUANTIZED, downloads=number)
    fill(directory, "acme/gated", stable_diffusion(CARD), downloads=9, gated="manual")
    with HubProcess(directory) as running:
        yield running


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli-workspace")


@pytest.fixture(scope="module")
def crawled(hub: HubProcess, workspace: Path) -> subprocess.CompletedProcess[str]:
    """One run that the tests share."""
    return cf_crawl(hub.endpoint, workspace, "--limit", "3", "--kinds", "lora,checkpoint")


def test_the_command_writes_the_catalogue_and_prints_counts(
    crawled: subprocess.CompletedProcess[str], workspace: Path
) -> None:
    assert crawled.returncode == 0, crawled.stderr
    names = [entry.model_name for entry in read_catalog(Workspace(workspace))]
    assert names == ["acme/gated", "acme/m2", "acme/m1"]
    for line in (r"models +3", r"compatible +0", r"by reason +quantized-only +2", r"gated +1", r"catalog.parquet"):
        assert re.search(line, crawled.stdout), crawled.stdout


def test_the_summary_says_how_to_get_gated_models(crawled: subprocess.CompletedProcess[str]) -> None:
    assert (
        "gated: 1 (acme/gated): accept the terms on the Hub, set HF_TOKEN, and crawl again"
        in crawled.stdout.splitlines()
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--kinds", "checkpoint,gan"], "'gan' is not one of"), (["--workers", "x"], "--workers")],
)
def test_a_usage_error_has_exit_code_2(tmp_path: Path, arguments: list[str], message: str) -> None:
    ended = without_hub(tmp_path / "w", *arguments)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_failure_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
    ended = cf_crawl(endpoint, tmp_path / "w")
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"error: {endpoint} cannot be reached")


@pytest.mark.usefixtures("crawled")
def test_a_row_is_explained_without_a_request_to_the_hub(workspace: Path) -> None:
    ended = without_hub(workspace, "--explain", "acme/m1")
    assert ended.returncode == 0, ended.stderr
    for line in (
        r"column +value +source",
        r"downloads +1 +the Hub's list of models",
        r"license +creativeml-openrail-m +front matter of README.md",
        r"num_inference_steps +- +not given",
        r"base_files +0 files, 0 bytes",
        r"reason +quantized-only +cf-crawl",
    ):
        assert re.search(line, ended.stdout), ended.stdout


@pytest.mark.usefixtures("crawled")
def test_an_unknown_model_cannot_be_explained(workspace: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no such model; did you mean acme/m\d\?"):
        print_explanation(Workspace(workspace), "acme/m7")
    with pytest.raises(UsageError, match="run `cf-crawl` first"):
        print_explanation(Workspace(tmp_path / "elsewhere"), "acme/m1")
    assert not (tmp_path / "elsewhere").exists()


def test_models_can_be_named_by_a_file(hub: HubProcess, tmp_path: Path) -> None:
    names = tmp_path / "names.csv"
    names.write_text("repo_id,note\nacme/m2,x\nacme/nowhere,x\nacme/m0,x\nacme/m2,again\n")
    hub.clear_requests()
    ended = cf_crawl(hub.endpoint, tmp_path / "w", "--from", str(names))
    assert ended.returncode == 0, ended.stderr
    requests = [request["path"] for request in hub.requests() if request["path"].startswith("/api/")]
    assert "not on the Hub: 1 (acme/nowhere)" in ended.stdout
    workspace = Workspace(tmp_path / "w")
    assert [entry.model_name for entry in read_catalog(workspace)] == ["acme/m2", "acme/m0"]
    assert sorted(requests) == ["/api/models/acme/m0", "/api/models/acme/m2", "/api/models/acme/nowhere"]
    # The catalogue names models too: other ones, which need another workspace.
    options = CrawlOptions(endpoint=hub.endpoint, from_file=workspace.catalog)
    with pytest.raises(UsageError, match=r"\[crawl\] from changed"):
        crawl(workspace, options)
    entries = crawl(Workspace.open(tmp_path / "w2"), options).entries
    assert [entry.model_name for entry in entries] == ["acme/m2", "acme/m0"]
