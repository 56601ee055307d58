"""The embedded Hub for all tests: a fixture to import, and clients in child processes.

    from tests.hubs import hub  # noqa: F401

Clients read HF_ENDPOINT when they are imported, so run code that imports one with `run_client`.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from localhub.process import HubProcess
from localhub.store import Store

DATE = "2024-05-06T07:08:09.000Z"
#: `datasets` imports what it finds of these, which takes longer than what the tests read with it.
WITHOUT_TENSORS = dict.fromkeys(("USE_TORCH", "USE_TF", "USE_JAX"), "0")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    """An empty Hub, open for writing."""
    with HubProcess(tmp_path / "hub") as running:
        yield running


def fill(directory: Path, repo_id: str, files: dict[str, bytes], kind: str = "model", **settings: object) -> str:
    """Put a repository into the directory of a Hub; returns its commit."""
    store = Store(directory)
    store.create(kind, repo_id, **settings)  # type: ignore[arg-type]
    return store.commit(kind, repo_id, add=files, message="files", date=DATE)


def run_client(
    hub: HubProcess,
    code: str,
    *arguments: str,
    token: str | None = None,
    home: Path | None = None,
    tensors: bool = False,
) -> str:
    """Run Python code in a child that uses `hub` as the Hub; returns its output, fails if it fails.

    `tensors`: whether libraries find torch there.
    """
    environment = {**os.environ, **hub.environment(token), **({"HF_HOME": str(home)} if home else {})}
    if not tensors:
        environment |= WITHOUT_TENSORS
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
