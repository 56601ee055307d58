"""A batch system ends a job at its time limit, or sooner, and starts it again: nothing sampled is lost but the batch in
hand."""

import dataclasses
import os
import shutil
import signal
import time
from collections.abc import Callable

import pytest

from localhub.store import Store
from samplers.assignment import sampled_rounds
from samplers.options import SampleOptions
from samplers.outcomes import read_outcome
from samplers.running.supervisor import sample
from samplers.storage.progress import progress_of
from tests.samplers.conftest import PIXELS
from tests.samplers.inputs import entry_of, files_of
from tests.samplers.processes import start
from tests.scale import SOAK, scaled
from workspace.layout import Workspace

#: A part has eight batches: no run below gets so far.
BATCH, IMAGES = 2, scaled(6, 64)


def test_a_generator_gets_done_although_every_run_is_ended_before_it_has_a_part(
    store: Store, options: SampleOptions, make_workspace: Callable[..., Workspace]
) -> None:
    options = dataclasses.replace(options, images=IMAGES, batch_size=BATCH, steps=2)
    undisturbed, workspace = (make_workspace(entry_of(store, PIXELS)) for _ in range(2))
    sample(undisturbed, options)
    signals = (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
    runs = 0
    while read_outcome(workspace, PIXELS) is None:
        before = progress_of(workspace, PIXELS).tries
        process = start(workspace, options)
        # Slower than a batch is sampled, so one more may be in hand, and another on its way.
        while process.is_alive() and progress_of(workspace, PIXELS).tries < before + BATCH:
            time.sleep(0.01)
        assert process.pid is not None
        sent = signals[runs % 3]
        if process.is_alive():
            os.kill(process.pid, sent)
        process.join(60)
        after = progress_of(workspace, PIXELS).tries
        assert process.exitcode in (75, 0), process.exitcode
        assert after >= before + BATCH or after == IMAGES
        runs += 1
        assert runs < 2 * IMAGES
    assert runs >= 2
    assert files_of(workspace) == files_of(undisturbed)
    assert not workspace.locks.exists()


@pytest.mark.skipif(not SOAK, reason="a part of three minutes, killed every twenty seconds: make soak")
@pytest.mark.timeout(3600)
def test_kills_every_twenty_seconds_of_a_part_of_three_minutes_lose_one_batch_each(
    store: Store, options: SampleOptions, make_workspace: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    interval, part_seconds, batches = 20, 180, 45
    monkeypatch.setattr(sampled_rounds, "BATCHES_A_PART", batches)
    options = dataclasses.replace(options, images=batches * BATCH, max_tries=batches * BATCH, batch_size=BATCH)
    trial, undisturbed, workspace = (make_workspace(entry_of(store, PIXELS)) for _ in range(3))
    steps = 20
    begun = time.monotonic()
    sample(trial, dataclasses.replace(options, steps=steps))
    options = dataclasses.replace(options, steps=int(steps * part_seconds / (time.monotonic() - begun)))
    begun = time.monotonic()
    sample(undisturbed, options)
    # A batch, of a machine that may be busier at one time than at another.
    batch_seconds = (time.monotonic() - begun) / batches
    shutil.copy(
        undisturbed.recipe, workspace.recipe
    )  # a part of as many batches, also where processes are started anew
    kills, tries, lost = 0, 0, []
    while read_outcome(workspace, PIXELS) is None:
        process = start(workspace, options)
        process.join(interval)
        if process.is_alive():
            process.kill()
            kills += 1
        process.join()
        after = progress_of(workspace, PIXELS).tries
        lost.append(interval - (after - tries) / BATCH * batch_seconds)
        print(f"run {len(lost)}: {tries} -> {after} images; {lost[-1]:.1f} s for the start and the batch in hand")
        assert after > tries, "a run of twenty seconds stored nothing"
        tries = after
    assert kills >= part_seconds // interval - 1
    # Half of the runs at least: the start takes some seconds, the batch in hand at most `batch_seconds`.
    assert sorted(lost)[len(lost) // 2] < interval / 2 + batch_seconds
    assert files_of(workspace) == files_of(undisturbed)
    assert not workspace.locks.exists()
