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
        (["--kinds", "checkpoint,gan"], "'gan' is none of"),
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
