"""Hosts that share nothing but a folder: each has its own name and network."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from localhub.store import Store
from samplers.options import SampleOptions
from samplers.running.supervisor import sample
from tests.namespaces import host
from tests.samplers.conftest import BASE, CLASSES, FINETUNE, PIXELS
from tests.samplers.inputs import entry_of, files_of
from tests.scale import SOAK
from workspace.layout import Workspace

NAMES = (PIXELS, CLASSES, BASE, FINETUNE)
IMAGES = 24


@pytest.mark.skipif(not SOAK, reason="three hosts import torch each: make soak")
@pytest.mark.timeout(900)
def test_of_three_hosts_one_is_killed_and_one_is_cut_off_and_the_files_are_those_of_one_process(
    store: Store, options: SampleOptions, make_workspace: Callable[..., Workspace], tmp_path: Path
) -> None:
    undisturbed, workspace = (
        make_workspace(*(entry_of(store, name, rank) for rank, name in enumerate(NAMES, start=1))) for _ in range(2)
    )
    sample(undisturbed, dataclasses.replace(options, images=IMAGES, batch_size=2, steps=2))
    hosts: list[subprocess.Popen[str]] = []
    for number in (1, 2, 3):
        where = [workspace.root, store.root, f"{number}/3", tmp_path / f"weights-{number}", IMAGES]
        program = [sys.executable, "-m", "tests.samplers.host", *where, tmp_path / f"pids-{number}"]
        hosts.append(host(f"host-{number}", *program))
    _wait_for(lambda: len(list(workspace.locks.glob("sample/claim-*/process-*"))) >= 3)
    (_, _), (killed, _), (_, cut_off) = (_pids(tmp_path / f"pids-{number}") for number in (1, 2, 3))
    os.kill(killed, signal.SIGKILL)
    os.kill(cut_off, signal.SIGSTOP)
    assert hosts[1].wait(60) != 0
    _, error = hosts[0].communicate(timeout=400)
    assert hosts[0].returncode == 0, error
    os.kill(cut_off, signal.SIGCONT)
    _, error = hosts[2].communicate(timeout=400)
    assert hosts[2].returncode == 0, error
    sample(workspace, dataclasses.replace(options, images=IMAGES, batch_size=2, steps=2))
    assert files_of(workspace) == files_of(undisturbed)
    assert not workspace.locks.exists()


def _pids(path: Path) -> tuple[int, int]:
    first, second = path.read_text().split()
    return int(first), int(second)


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 200
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
