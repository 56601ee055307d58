"""No test can connect to anything but loopback: tests/guard refuses it in this process and in all below it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

# 192.0.2.0/24 is reserved for documentation (RFC 5737): nothing answers there, even if the guard fails.
OUTSIDE = ("192.0.2.1", 9)
CHILD = """
import socket, subprocess, sys
try:
    socket.create_connection(("192.0.2.1", 9), timeout=0.2)
except PermissionError:
    print("refused")
if len(sys.argv) > 2:
    sys.exit(subprocess.run([sys.executable, "-c", *sys.argv[2:]]).returncode)
"""


@pytest.fixture
def own_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log of its own, because these attempts must not fail the run."""
    monkeypatch.setenv("CF_TESTS_NETWORK_LOG", str(tmp_path / "log"))
    return tmp_path / "log"


def test_this_process_reaches_loopback_only(own_log: Path) -> None:
    with pytest.raises(PermissionError, match="loopback only"):
        socket.create_connection(OUTSIDE, timeout=0.2)
    with pytest.raises(PermissionError, match="loopback only"):
        socket.getaddrinfo("huggingface.co", 443)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram,
        pytest.raises(PermissionError, match="loopback only"),
    ):
        datagram.sendto(b"", OUTSIDE)
    assert len(own_log.read_text().splitlines()) == 3


def test_children_and_their_children_reach_loopback_only(own_log: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CHILD, "-", CHILD, "-"], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert ended.stdout == "refused\nrefused\n"
    assert len(own_log.read_text().splitlines()) == 2


def test_a_swallowed_attempt_still_fails_the_run(own_log: Path, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text((Path(__file__).parent / "conftest.py").read_text())
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text((Path(__file__).parent / "guard/sitecustomize.py").read_text())
    (tmp_path / "test_it.py").write_text(
        "import socket\ndef test_it():\n    try:\n        socket.create_connection(('192.0.2.1', 9))\n"
        "    except OSError:\n        pass\n"
    )
    # The project itself is imported from where it is.
    found = os.pathsep.join([os.environ["PYTHONPATH"], str(Path(__file__).parents[1])])
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=tmp_path, env={**os.environ, "PYTHONPATH": found},
    )  # fmt: skip
    assert "1 passed" in ended.stdout
    assert ended.returncode == 1, ended.stdout


def test_loopback_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
