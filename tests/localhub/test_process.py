import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from localhub import process
from localhub.process import HubProcess
from workspace.errors import CommunityForensicsError

CF_HUB = process._cf_hub

PARENT = """
import sys, time
from localhub.process import HubProcess
with HubProcess(sys.argv[1]) as hub:
    print(hub.pid, hub.endpoint, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _new_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Hubs of this file are started as a user's are."""
    monkeypatch.setattr(process, "_cf_hub", CF_HUB)


def accepts(endpoint: str) -> bool:
    host, port = endpoint.removeprefix("http://").split(":")
    with socket.socket() as sock:
        sock.settimeout(2)
        return sock.connect_ex((host, int(port))) == 0


def test_a_hub_answers_during_its_block(tmp_path: Path) -> None:
    with HubProcess(tmp_path) as hub:
        assert hub.endpoint.startswith("http://127.0.0.1:")
        assert accepts(hub.endpoint)
        environment = hub.environment("hf_x")
        assert (environment["HF_ENDPOINT"], environment["HF_TOKEN"]) == (hub.endpoint, "hf_x")
    assert not accepts(hub.endpoint)
    hub.stop()


def test_it_starts_within_a_second_of_processor_time(tmp_path: Path) -> None:
    before = os.times()
    with HubProcess(tmp_path):
        pass
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < 1.0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_its_parent_however_that_ends(tmp_path: Path, how: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, tmp_path], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        _, endpoint = parent.stdout.readline().split()
        assert accepts(endpoint)
        parent.send_signal(how)
        parent.wait()
    deadline = time.monotonic() + 10
    while accepts(endpoint):
        assert time.monotonic() < deadline, "the server outlived its parent"
        time.sleep(0.02)


def test_a_server_that_cannot_start_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CommunityForensicsError, match="did not start"), HubProcess(tmp_path / "file"):
        pass
    assert "is not a directory" in capfd.readouterr().err


def test_tokens_are_not_in_the_command_line(tmp_path: Path) -> None:
    with HubProcess(tmp_path, tokens=["hf_secret"]) as hub:
        assert b"hf_secret" not in Path(f"/proc/{hub.pid}/cmdline").read_bytes()
