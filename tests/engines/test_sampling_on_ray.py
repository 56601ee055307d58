"""Sampling on a Ray cluster; its nodes are killed weekly: one, and with `make soak` two of them in turn."""

import dataclasses
import threading
import time
from collections.abc import Callable

from engines.ray import RayEngine
from localhub.store import Store
from samplers.options import SampleOptions
from samplers.running.supervisor import Report
from samplers.running.supervisor import sample as sample_alone
from samplers.stage import sample
from tests.engines.conftest import FURTHER, Nodes
from tests.samplers.conftest import CLASSES, PIXELS, hub, make_workspace, options, store  # noqa: F401
from tests.samplers.inputs import entry_of, files_of
from tests.scale import scaled, weekly
from workspace.layout import Workspace

#: Of each generator, where nodes are killed: enough to be at it then.
IMAGES = scaled(24, 200)
KILLS = scaled(1, 6)


def _files(workspace: Workspace) -> int:
    return sum(1 for _ in workspace.samples.rglob("*"))


def test_a_process_of_a_cluster_samples_as_one_of_this_machine(
    on_ray: RayEngine,
    store: Store,  # noqa: F811
    options: SampleOptions,  # noqa: F811
    make_workspace: Callable[..., Workspace],  # noqa: F811
) -> None:
    entries = [entry_of(store, name, rank) for rank, name in enumerate((PIXELS, CLASSES), start=1)]
    plain, workspace = make_workspace(*entries), make_workspace(*entries)
    sample_alone(plain, options)
    report = sample(workspace, dataclasses.replace(options, engine="ray", processes=1))
    assert sorted(outcome.generator for outcome in report.outcomes) == sorted((PIXELS, CLASSES))
    assert files_of(workspace) == files_of(plain)
    assert not workspace.locks.exists()


@weekly("engines/test_engines.py::test_an_item_whose_node_is_killed_is_called_again")
def test_a_node_that_is_killed_changes_no_byte(
    cluster: Nodes,
    on_ray: RayEngine,
    store: Store,  # noqa: F811
    options: SampleOptions,  # noqa: F811
    make_workspace: Callable[..., Workspace],  # noqa: F811
) -> None:
    entries = [entry_of(store, name, rank) for rank, name in enumerate((PIXELS, CLASSES), start=1)]
    plain, workspace = make_workspace(*entries), make_workspace(*entries)
    options = dataclasses.replace(options, images=IMAGES, batch_size=2)
    sample_alone(plain, options)
    reports: list[Report] = []
    running = threading.Thread(
        target=lambda: reports.append(sample(workspace, dataclasses.replace(options, engine="ray", processes=2)))
    )
    running.start()
    for kill in range(KILLS):
        before = _files(workspace)
        while running.is_alive() and _files(workspace) < before + 2:
            time.sleep(0.02)
        cluster.kill(kill % FURTHER)
    running.join(200)
    assert [sorted(outcome.generator for outcome in report.outcomes) for report in reports]
    assert files_of(workspace) == files_of(plain)
    assert not workspace.locks.exists()
