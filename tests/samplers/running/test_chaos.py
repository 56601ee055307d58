"""SIGKILL to child, supervisor or both, at random moments, with another number of shards each time: the final files are
those of an undisturbed run."""

import contextlib
import dataclasses
import os
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess

import pytest

from localhub.store import Store
from samplers.options import SampleOptions
from samplers.running.supervisor import sample
from tests.samplers.conftest import BASE, CLASSES, FINETUNE, PIXELS
from tests.samplers.inputs import entry_of, files_of
from tests.samplers.processes import start, under_fork_server, wait_for_none
from tests.scale import SOAK
from workspace.layout import Workspace

MOMENTS = 100
SETTINGS = {"images": 160, "batch_size": 2, "steps": 2}
NAMES = (PIXELS, CLASSES, BASE, FINETUNE)
#: What is killed, in turn.
VICTIMS = ("child", "supervisor", "both")
#: Seconds between two kills at most: long enough for a child to come up and write a part, so that the run gets on.
LONGEST = 2.0


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it may have ended by itself a moment ago
        os.kill(pid, signal.SIGKILL)


def _one_moment(
    workspace: Workspace, options: SampleOptions, chance: random.Random, running: list[BaseProcess], victim: str
) -> None:
    """Let it run for a while, kill the victim; afterwards `running` are the remaining supervisors."""
    if not any(process.is_alive() for process in running):
        shards = chance.randint(1, 3)
        running[:] = [
            start(workspace, dataclasses.replace(options, shard=f"{index}/{shards}")) for index in range(1, shards + 1)
        ]
    time.sleep(chance.uniform(0.0, LONGEST))
    supervisors = {process.pid for process in running}
    if victim != "supervisor":
        children = [pid for pid in under_fork_server() if pid not in supervisors]
        if children:
            _kill(chance.choice(children))
    if victim != "child":
        # Another number of shards from here on: so all of them go, as when a job array is cancelled.
        for process in running:
            assert process.pid is not None
            _kill(process.pid)
        for process in running:
            process.join()
        wait_for_none()


@pytest.mark.skipif(not SOAK, reason="test_resume.py kills child and supervisor once each: make soak")
def test_kills_at_random_moments_change_no_byte_and_leave_no_files(
    store: Store, options: SampleOptions, make_workspace: Callable[..., Workspace]
) -> None:
    entries = [entry_of(store, name, rank) for rank, name in enumerate(NAMES, start=1)]
    undisturbed, workspace = make_workspace(*entries), make_workspace(*entries)
    options = dataclasses.replace(options, **SETTINGS)
    sample(undisturbed, options)
    expected = files_of(undisturbed)
    chance = random.Random(2024)
    running: list[BaseProcess] = []
    for number in range(MOMENTS):
        _one_moment(workspace, options, chance, running, VICTIMS[number % 3])
    for process in running:
        process.join(100)
    wait_for_none()
    # A generator whose child was killed three times in a row is quarantined.
    process = start(workspace, dataclasses.replace(options, retry_failed=True))
    process.join(200)
    assert process.exitcode == 0
    assert files_of(workspace) == expected
    assert list(workspace.root.rglob("*.partial")) == []
    assert options.weights_dir is not None
    assert list(options.weights_dir.iterdir()) == []
