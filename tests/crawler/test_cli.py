import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from crawler.catalog import read_catalog
from localhub.process import HubProcess
from tests.crawler.repositories import CARD
from tests.crawler.servers import serving
from tests.hubs import fill
from workspace.layout import Workspace


def cf_crawl(endpoint: str, workspace: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """cf-crawl in a process of its own: the client reads HF_ENDPOINT when it is imported."""
    command = [sys.executable, "-m", "crawler.cli", "--workspace", str(workspace), *arguments]
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "COLUMNS": "100"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_command_writes_the_catalogue_and_counts(tmp_path: Path) -> None:
    for number in range(3):
        files = {"README.md": CARD.encode(), "model.gguf": b"few bits"}
        fill(tmp_path / "hub", f"acme/m{number}", files, downloads=number)
    with HubProcess(tmp_path / "hub") as hub:
        ended = cf_crawl(hub.endpoint, tmp_path / "w", "--limit", "2", "--kinds", "lora,checkpoint")
    assert ended.returncode == 0, ended.stderr
    assert [entry.model_name for entry in read_catalog(Workspace(tmp_path / "w"))] == ["acme/m2", "acme/m1"]
    for line in (r"listed +2", r"compatible +0", r"by reason +quantized-only +2", r"catalog.parquet"):
        assert re.search(line, ended.stdout), ended.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--kinds", "checkpoint,gan"], "'gan' is not one of"),
        (["--limit", "0"], "--limit"),
        (["--workers", "x"], "--workers"),
    ],
)
def test_misuse_is_told_from_failure(tmp_path: Path, arguments: list[str], said: str) -> None:
    ended = cf_crawl("http://127.0.0.1:9", tmp_path / "w", *arguments)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def one_line(ended: subprocess.CompletedProcess[str]) -> str:
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def test_no_network_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
    assert f"{endpoint} cannot be reached" in one_line(cf_crawl(endpoint, tmp_path / "w"))


def test_a_page_of_html_is_one_line(tmp_path: Path) -> None:
    with serving(lambda _path: (200, {}, b"<html>Please sign in</html>")) as endpoint:
        assert "is not a Hugging Face Hub" in one_line(cf_crawl(endpoint, tmp_path / "w"))


def test_an_endpoint_that_is_no_address_is_one_line(tmp_path: Path) -> None:
    assert "cannot be reached" in one_line(cf_crawl("huggingface.co", tmp_path / "w"))


@pytest.mark.parametrize("arguments", [["--explain", "acme/m7"], ["--explain", "acme/m1", "--workspace", "elsewhere"]])
def test_explaining_what_is_not_there_is_one_line(tmp_path: Path, arguments: list[str]) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        fill(hub.directory, "acme/m1", {"README.md": CARD.encode()})
        assert cf_crawl(hub.endpoint, tmp_path / "w").returncode == 0
        hub.clear_requests()
        ended = cf_crawl(hub.endpoint, tmp_path / "w", *arguments)
        assert hub.requests() == []
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "did you mean acme/m1?" in line or "run `cf-crawl` first" in line
    assert not Path("elsewhere").exists()


def test_a_row_is_explained_without_the_hub(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        fill(hub.directory, "acme/m1", {"README.md": CARD.encode(), "model.gguf": b"few bits"}, downloads=4321)
        assert cf_crawl(hub.endpoint, tmp_path / "w").returncode == 0
    ended = cf_crawl("http://127.0.0.1:9", tmp_path / "w", "--explain", "acme/m1")
    assert ended.returncode == 0, ended.stderr
    for line in (
        r"downloads +4321 +the Hub's listing",
        r"license +creativeml-openrail-m +README.md, its front matter",
        r"num_inference_steps +- +nobody says",
        r"reason +quantized-only +the verdict",
    ):
        assert re.search(line, ended.stdout, re.IGNORECASE), ended.stdout


def test_models_can_be_named_by_a_file(tmp_path: Path) -> None:
    names = tmp_path / "names.csv"
    names.write_text("repo_id,note\nacme/m2,x\nacme/nowhere,x\nacme/m0,x\nacme/m2,again\n")
    with HubProcess(tmp_path / "hub") as hub:
        for number in range(4):
            fill(hub.directory, f"acme/m{number}", {"README.md": CARD.encode(), "m.gguf": b"x"}, downloads=number)
        ended = cf_crawl(hub.endpoint, tmp_path / "w", "--from", str(names))
        assert ended.returncode == 0, ended.stderr
        asked = [request["path"] for request in hub.requests() if request["path"].startswith("/api/")]
        assert re.search(r"not on the Hub: 1 \(acme/nowhere\)", ended.stdout)
        workspace = Workspace(tmp_path / "w")
        assert [entry.model_name for entry in read_catalog(workspace)] == ["acme/m2", "acme/m0"]
        assert sorted(asked) == ["/api/models/acme/m0", "/api/models/acme/m2", "/api/models/acme/nowhere"]
        # The catalogue itself names models too: other ones, so another workspace.
        again = cf_crawl(hub.endpoint, tmp_path / "w", "--from", str(workspace.catalog))
        assert again.returncode == 2
        assert "[crawl] from was" in again.stderr
        assert cf_crawl(hub.endpoint, tmp_path / "w2", "--from", str(workspace.catalog)).returncode == 0
        assert [entry.model_name for entry in read_catalog(Workspace(tmp_path / "w2"))] == ["acme/m2", "acme/m0"]
