"""A batch system ends a job at its time limit, or sooner, and starts it again: nothing sampled is lost but the batch in
hand."""

import dataclasses
import os
import signal
import time
from collections.abc import Callable

from localhub.store import Store
from samplers.options import SampleOptions
from samplers.outcomes import read_outcome
from samplers.running.supervisor import sample
from samplers.storage.progress import progress_of
from tests.samplers.conftest import PIXELS
from tests.samplers.inputs import entry_of, files_of
from tests.samplers.processes import start
from tests.scale import scaled
from workspace.layout import Workspace

#: A part has four batches: no run below gets so far.
BATCH, IMAGES = 2, scaled(8, 64)


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
