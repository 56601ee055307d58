import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import httpx2
import pytest

from localhub.cli import main
from localhub.process import HubProcess
from localhub.store import Store
from tests.manifests.commands import Done, run


def cf_hub(*arguments: object) -> Done:
    """The command, in this process."""
    return run(main, *map(str, arguments))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "folder" / "unet").mkdir(parents=True)
    (tmp_path / "folder" / "README.md").write_text("---\nlicense: mit\n---\n")
    (tmp_path / "folder" / "unet" / "w.bin").write_bytes(b"weights")
    return tmp_path / "folder"


def test_a_folder_added_to_a_running_hub_is_served_and_listed(tmp_path: Path, folder: Path) -> None:
    known = "82a37760796d32b1411fe092ab5d4e227313294b"
    with HubProcess(tmp_path / "hub") as hub, httpx2.Client(base_url=hub.endpoint, trust_env=False) as client:
        assert client.get("/api/models").json() == []
        done = cf_hub(
            "add", hub.directory, "org/name", folder, "--downloads", 7, "--gated", "manual", "--commit-id", known
        )
        assert done.stdout == f"model org/name: 2 files at {known}\n", done.stderr
        row = client.get("/api/models?full=true").json()[0]
        assert (row["id"], row["downloads"], row["gated"], row["sha"]) == ("org/name", 7, "manual", known)
        assert cf_hub("add", hub.directory, "org/name", folder, "--gated", "no").returncode == 0
        assert client.get("/org/name/resolve/main/unet/w.bin").content == b"weights"
        assert client.get("/api/models/org/name").json()["downloads"] == 7, "what is not said stays"
    listed = cf_hub("ls", tmp_path / "hub").stdout.split("\t")
    assert listed[:4] == ["model", "org/name", "7", "3"]


def test_a_dataset_on_another_branch(tmp_path: Path, folder: Path) -> None:
    assert cf_hub("add", tmp_path / "hub", "org/data", folder, "--kind", "dataset", "--revision", "v2").returncode == 0
    repo = Store(tmp_path / "hub").repo("dataset", "org/data")
    assert set(repo.branches) == {"main", "v2"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["add", "{}/hub", "name", "{}/folder"], "must be ORG/NAME"),
        (["add", "{}/hub", "a/b", "{}/none"], "is not a directory"),
        (["add", "{}/hub", "a/b", "{}/folder", "--commit-id", "main"], "40 lower-case"),
        (["ls", "{}/none"], "is not a directory"),
        (["serve", "{}/folder/README.md"], "is not a directory"),
        (["serve", "{}/hub", "--host", "192.0.2.1"], "cannot listen on 192.0.2.1"),
        (["serve", "{}/hub", "--host", "no such host"], "cannot listen"),
        (["serve", "{}/hub", "--token", "x:admin"], "a token must look like"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, folder: Path, arguments: list[str], says: str) -> None:
    ended = cf_hub(*[argument.format(tmp_path) for argument in arguments])
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert ended.stderr.startswith("error: ")
    assert says in ended.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_server_that_is_stopped_ends_without_an_error(tmp_path: Path, how: signal.Signals) -> None:
    ready = tmp_path / "ready"
    command = [sys.executable, "-m", "localhub.cli", "serve", tmp_path / "hub", "--port", "0", "--ready-file", ready]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        while not ready.exists():
            assert server.poll() is None
            time.sleep(0.01)
        httpx2.get(f"{ready.read_text()}/api/models", trust_env=False)
        os.kill(server.pid, how)
        assert server.stderr is not None
        said = server.stderr.read()
    assert server.returncode == 0
    assert said.count("\n") == 1, said
    assert ready.read_text() in said


def test_a_port_in_use_is_an_error(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        ended = cf_hub("serve", tmp_path / "other", "--port", hub.endpoint.rsplit(":", 1)[1])
    assert ended.returncode == 2
    assert "choose another --host or --port" in ended.stderr


def test_it_has_a_version_and_plain_flags() -> None:
    assert cf_hub("--version").stdout == f"community-forensics {version('community-forensics')}\n"
    shown = [cf_hub(*command, "--help").stdout for command in ([], ["serve"], ["add"], ["ls"], ["mirror"])]
    assert "--while-stdin-open" in shown[1]
    assert "--follow-links" in shown[2]
    assert not any(word in text for text in shown for word in ("<bool>", "completion"))


def test_the_command_line_is_light() -> None:
    code = "import sys, localhub.cli, localhub.serve; print([m for m in sys.modules if m in sys.argv[1:]])"
    # The import of huggingface_hub itself takes 3 ms: it imports its client (httpx2, hf_api) when it is used.
    heavy = ["torch", "numpy", "pandas", "datasets", "transformers", "diffusers", "pyarrow"]
    heavy += [
        "httpx2",
        "fsspec",
        "tqdm",
        "huggingface_hub.hf_api",
        "huggingface_hub.errors",
        "huggingface_hub.constants",
    ]
    assert (
        subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )
