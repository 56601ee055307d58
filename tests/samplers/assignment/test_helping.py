"""Processes that help others: shards that end early, and several at one generator."""

import dataclasses
import json
import os
import signal
import time
from collections.abc import Callable

import pytest

from engines.choice import next_task
from engines.claims import claims_of
from localhub.store import Store
from samplers.assignment.helping import Helping
from samplers.assignment.pending import find_pending
from samplers.failed_share import FailedShare
from samplers.options import SampleOptions
from samplers.outcomes import read_outcome
from samplers.running.supervisor import sample
from tests.samplers.conftest import CLASSES, PIXELS
from tests.samplers.inputs import entry_of, files_of
from tests.samplers.processes import start, wait_for_none
from tests.scale import scaled
from workspace.layout import Workspace

#: A batch of two images is a unit.
UNIT_SECONDS = 1e-9


@pytest.fixture
def two(store: Store, make_workspace: Callable[..., Workspace]) -> Callable[[], Workspace]:
    return lambda: make_workspace(*(entry_of(store, name, rank) for rank, name in enumerate((PIXELS, CLASSES), 1)))


def _events(workspace: Workspace, shard: str) -> list[tuple[str, str]]:
    lines = (workspace.root / "logs" / f"sample-{shard.replace('/', '-of-')}.jsonl").read_text().splitlines()
    return [(event["event"], event.get("model_name", "")) for event in map(json.loads, lines)]


def test_a_shard_that_is_finished_samples_what_others_have_not_begun(
    two: Callable[[], Workspace], options: SampleOptions
) -> None:
    undisturbed, workspace = two(), two()
    sample(undisturbed, options)
    report = sample(workspace, dataclasses.replace(options, shard="2/2"))
    assert len(report.helped) == 1
    assert files_of(workspace) == files_of(undisturbed)
    # What failed there is not of this shard.
    assert FailedShare.of(workspace, report).generators == 1
    # One without anything of its own helps too.
    empty = two()
    assert len(sample(empty, dataclasses.replace(options, shard="3/3")).helped) == 2
    assert files_of(empty) == files_of(undisturbed)


def test_a_shard_that_does_not_help_ends(two: Callable[[], Workspace], options: SampleOptions) -> None:
    workspace = two()
    report = sample(workspace, dataclasses.replace(options, shard="2/2", help_others=False))
    assert (len(report.outcomes), report.helped) == (1, [])


def test_several_processes_at_one_generator_make_the_files_of_one(
    two: Callable[[], Workspace], options: SampleOptions
) -> None:
    images = scaled(13, 21)
    options = dataclasses.replace(options, images=images, batch_size=2, max_tries=2 * images, only=(PIXELS,))
    undisturbed, workspace = two(), two()
    sample(undisturbed, options)
    shards = scaled(["1/2", "2/2"], ["1/3", "2/3", "3/3"])
    running = [
        start(workspace, dataclasses.replace(options, shard=shard), unit_seconds=UNIT_SECONDS) for shard in shards
    ]
    for process in running:
        process.join(100)
    assert [process.exitcode for process in running] == [0] * len(shards)
    wait_for_none()
    assert files_of(workspace) == files_of(undisturbed)
    assert not workspace.locks.exists()
    outcome = read_outcome(workspace, PIXELS)
    assert outcome is not None
    assert (outcome.status, outcome.kept) == ("done", images)
    began = [shard for shard in shards if ("generator_started", PIXELS) in _events(workspace, shard)]
    assert len(began) > 1


def test_what_a_killed_process_had_is_made_by_the_others(two: Callable[[], Workspace], options: SampleOptions) -> None:
    options = dataclasses.replace(options, images=scaled(12, 40), batch_size=2, only=(PIXELS,))
    undisturbed, workspace = two(), two()
    sample(undisturbed, options)
    first = start(workspace, dataclasses.replace(options, shard="2/2"), unit_seconds=UNIT_SECONDS)
    while not any(workspace.locks.glob("sample/claim-*~*")):
        assert first.is_alive()
        time.sleep(0.01)
    os.kill(first.pid or 0, signal.SIGKILL)
    first.join()
    wait_for_none()
    second = start(workspace, dataclasses.replace(options, shard="1/2"), unit_seconds=UNIT_SECONDS)
    second.join(100)
    assert second.exitcode == 0
    assert files_of(workspace) == files_of(undisturbed)
    assert not workspace.locks.exists()


def test_what_nobody_is_at_comes_first_and_the_most_expensive_of_it(
    two: Callable[[], Workspace], options: SampleOptions
) -> None:
    workspace = two()
    options = dataclasses.replace(options, shard="3/3")
    pending = find_pending(workspace, options)
    with claims_of(workspace, "sample") as claims, claims_of(workspace, "sample") as others:
        helping = Helping(workspace, options, pending, claims)
        dearest = max(pending.costs, key=lambda name: pending.costs[name].seconds(options.images))
        (cheapest,) = pending.costs.keys() - {dearest}
        with others.claim(dearest):
            first = helping.next()
            assert first is not None
            assert first.entry.generator == cheapest
            # The other one is of one unit, which somebody has.
            assert helping.next() is None
        second = helping.next()
        assert second is not None
        assert second.entry.generator == dearest
    assert next_task([]) is None
