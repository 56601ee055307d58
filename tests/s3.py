"""A server with the S3 protocol on this machine, started once for a session, and what tests need of it."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

import pytest

_SECONDS = 60.0


@dataclass(frozen=True)
class S3:
    """A running server with one bucket, and the environment in which commands find it."""

    endpoint: str
    environment: dict[str, str]
    _names: Iterator[int]

    def address(self) -> str:
        """The address of a workspace that nobody has used."""
        return f"s3://bucket/run-{next(self._names)}"

    def ignore_conditions(self, ignored: bool) -> None:
        """Whether the server writes without looking at conditions, as some do."""
        self._set("/_conditions", not ignored)

    def fail(self, codes: Sequence[int]) -> None:
        """Answer the next requests with these codes."""
        self._set("/_faults", list(codes))

    def _set(self, path: str, value: object) -> None:
        request = urllib.request.Request(f"{self.endpoint}{path}", json.dumps(value).encode(), method="PUT")
        urllib.request.urlopen(request, timeout=10).close()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    """The server; skipped where it, or the client, is not installed."""
    for package in ("moto", "flask", "obstore"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install 'community-forensics[dev]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    environment = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
        "AWS_REGION": "us-east-1",
    }
    server = subprocess.Popen([sys.executable, "-m", "tests.s3_server", str(port)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _SECONDS
        while not _make_bucket(endpoint):
            assert server.poll() is None, "the S3 server does not start"
            assert time.monotonic() < deadline, "the S3 server does not answer"
            time.sleep(0.05)
        yield S3(endpoint, environment, count(1))
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> S3:
    """The server, in the environment of this test, with a cache of its own."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CF_CACHE_DIR", str(tmp_path_factory.mktemp("node")))
    return s3_server


def _make_bucket(endpoint: str) -> bool:
    request = urllib.request.Request(f"{endpoint}/bucket", method="PUT")
    with suppress(urllib.error.URLError, ConnectionError, TimeoutError):
        urllib.request.urlopen(request, timeout=5).close()
        return True
    return False
