"""Processes with limits, forked from one that has imported what they do: a new interpreter needs longer for that than
for a picture. They enter the same sandbox. tests/workspace/limited starts new interpreters, as users do.
"""

import importlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from unittest import mock

import pytest

from tests.forking import Forked, Server
from workspace.environment import without_secrets
from workspace.limited import process, serving
from workspace.limited.process import ONE_THREAD, Script

PROGRAMS = (
    "captioning.decoding_process",
    "detectors.data.decoding",
    "detectors.data.sources.file_process",
    "detectors.data.sources.shard_process",
    "detectors.training.preparing_process",
    "manifests.exporting.encoding_process",
    "manifests.pictures.process",
    "workspace.container_process",
)
#: What these import when they need it.
_IMPORTS = (
    "captioning.compression",
    "captioning.decoding",
    "captioning.images",
    "captioning.target_size",
    "cv2",
    "detectors.pixels.inputs",
    "detectors.pixels.schemes",
    "manifests.exporting.variants",
    "pyarrow.compute",
    "pyarrow.parquet",
    "workspace.container_files",
)
SERVER = Server(*PROGRAMS, *_IMPORTS, __name__, environment=without_secrets() | ONE_THREAD)

_ANEW = process._started


@contextmanager
def forked_limited() -> Iterator[None]:
    """A block in which this process forks them."""
    with mock.patch.object(process, "_started", _started):
        yield


@pytest.fixture(scope="module", autouse=True)
def limited_processes_are_forked() -> Iterator[None]:
    """For the tests of a folder whose `conftest.py` imports this."""
    with forked_limited():
        yield


@pytest.fixture
def new_interpreters(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test that looks for these processes."""
    monkeypatch.setattr(process, "_started", _ANEW)


def _started(
    program: str | Script, link: socket.socket, settings: str, environment: Mapping[str, str]
) -> "subprocess.Popen[bytes] | Forked":
    if program not in PROGRAMS or SERVER.is_inherited:
        return _ANEW(program, link, settings, environment)
    return Forked(SERVER.start(serve, str(program), link, settings, without_secrets() | environment))


def serve(program: str, link: socket.socket, settings: str, environment: dict[str, str]) -> None:
    """What such a process does, in its fork."""
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [program, str(link.detach()), settings]
    serving.serve(importlib.import_module(program).handler)
