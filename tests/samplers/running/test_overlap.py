"""Several runs over the same generators, stopped, continued and ended in any way: the files of an undisturbed one."""

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
from samplers.options import Store as ImageStore
from samplers.running.supervisor import sample
from tests.samplers.conftest import BASE, CLASSES, FINETUNE, PIXELS
from tests.samplers.inputs import entry_of, files_of
from tests.samplers.processes import start, wait_for_none
from tests.scale import scaled
from workspace.layout import Workspace

NAMES = scaled((PIXELS, BASE), (PIXELS, CLASSES, BASE, FINETUNE))
#: Seconds without a sign of life after which a claim is free: shorter than some of the stops.
CLAIM_SECONDS = 1.0
WORKERS, SIGNALS = scaled(3, 6), scaled(5, 100)
#: Every batch is a unit, so processes help at all generators.
UNIT_SECONDS = 1e-9
ENDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)


def _workspace(store: Store, make_workspace: Callable[..., Workspace]) -> Workspace:
    return make_workspace(*(entry_of(store, name, rank) for rank, name in enumerate(NAMES, start=1)))


def test_the_same_command_beside_a_running_one_takes_nothing_from_it(
    store: Store, options: SampleOptions, make_workspace: Callable[..., Workspace]
) -> None:
    options = dataclasses.replace(options, images=8, batch_size=2, only=(PIXELS,))
    undisturbed, workspace = (_workspace(store, make_workspace) for _ in range(2))
    sample(undisturbed, options)
    first = start(workspace, options)
    while first.is_alive() and not workspace.images_of(PIXELS).exists():
        time.sleep(0.01)
    report = sample(workspace, options)
    first.join(60)
    assert first.exitcode == 0
    assert report.outcomes == []
    assert report.others in ([PIXELS], [])
    assert files_of(workspace) == files_of(undisturbed)


@pytest.mark.parametrize("images_in", scaled(("files",), ("files", "parquet")))
def test_signals_to_overlapping_runs_change_no_byte_and_leave_no_files(
    images_in: ImageStore, store: Store, options: SampleOptions, make_workspace: Callable[..., Workspace]
) -> None:
    images = scaled(10, 120)
    options = dataclasses.replace(options, images=images, batch_size=2, steps=2, store=images_in, retry_failed=True)
    undisturbed, workspace = (_workspace(store, make_workspace) for _ in range(2))
    sample(undisturbed, options)
    chance = random.Random(7)
    running: list[BaseProcess] = []
    stopped: list[tuple[float, BaseProcess]] = []

    def fill() -> None:
        running[:] = [process for process in running if process.is_alive()]
        while len(running) < WORKERS:
            count = chance.choice((1, 2, 3))
            shard = f"{chance.randint(1, count)}/{count}"
            running.append(start(workspace, dataclasses.replace(options, shard=shard), CLAIM_SECONDS, UNIT_SECONDS))

    for _ in range(SIGNALS):
        fill()
        time.sleep(chance.uniform(0.0, 1.5))
        process = chance.choice(running)
        with contextlib.suppress(ProcessLookupError):
            if chance.random() < 0.4:
                os.kill(process.pid or 0, signal.SIGSTOP)
                stopped.append((time.monotonic() + chance.uniform(0.0, 3 * CLAIM_SECONDS), process))
            else:
                os.kill(process.pid or 0, chance.choice(ENDS))
        for until, process in list(stopped):
            if until < time.monotonic():
                stopped.remove((until, process))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid or 0, signal.SIGCONT)
    for _, process in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid or 0, signal.SIGCONT)
    for process in running:
        process.join(200)
    wait_for_none()
    sample(workspace, options)
    assert files_of(workspace) == files_of(undisturbed)
    assert not workspace.locks.exists()
    assert [
        *workspace.root.rglob("*.partial"),
        *workspace.samples.glob("*/[!p]*"),
        *workspace.samples.glob("*/prep*"),
    ] == []
