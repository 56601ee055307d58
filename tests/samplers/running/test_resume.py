"""A run that is killed anywhere and continued by other shards gives the rows and PNG bytes of an undisturbed one."""

import dataclasses
import os
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess

import psutil
import pytest

from crawler.catalog import Hyperparameters
from localhub.store import Store
from samplers.options import SampleOptions
from samplers.running.supervisor import sample
from samplers.storage.progress import progress_of
from tests.samplers.conftest import BASE, CLASSES, ENDLESS, PIXELS
from tests.samplers.inputs import entry_of, files_of
from tests.samplers.processes import start, under_fork_server, wait_for_none
from tests.scale import scaled
from workspace.layout import Workspace

#: Small batches, so that every generator has several parts and a kill finds many different moments.
SETTINGS = {"images": 18, "batch_size": 2, "steps": 2}
NAMES = scaled((PIXELS, BASE), (PIXELS, CLASSES, BASE))


@pytest.fixture(scope="module")
def undisturbed(
    store: Store, hub: object, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Callable[..., Workspace], SampleOptions], dict[str, bytes]]:
    done: dict[str, bytes] = {}

    def files(make_workspace: Callable[..., Workspace], options: SampleOptions) -> dict[str, bytes]:
        if not done:
            workspace = _workspace(store, make_workspace)
            sample(workspace, options)
            done.update(files_of(workspace))
        return done

    return files


def _workspace(store: Store, make_workspace: Callable[..., Workspace]) -> Workspace:
    return make_workspace(*(entry_of(store, name, rank) for rank, name in enumerate(NAMES, start=1)))


def _wait_for_images(workspace: Workspace, count: int, process: BaseProcess) -> None:
    while process.is_alive() and sum(progress_of(workspace, name).tries for name in NAMES) < count:
        time.sleep(0.01)


@pytest.fixture
def options(options: SampleOptions) -> SampleOptions:
    return dataclasses.replace(options, **SETTINGS)


def _finish(workspace: Workspace, options: SampleOptions) -> None:
    process = start(workspace, options)
    process.join(100)
    assert process.exitcode == 0


@pytest.mark.parametrize("seed", range(scaled(1, 12)))
def test_a_run_killed_anywhere_is_continued_by_other_shards(
    seed: int,
    store: Store,
    options: SampleOptions,
    make_workspace: Callable[..., Workspace],
    undisturbed: Callable[[Callable[..., Workspace], SampleOptions], dict[str, bytes]],
) -> None:
    expected = undisturbed(make_workspace, options)
    workspace = _workspace(store, make_workspace)
    chance = random.Random(seed)
    for images in scaled((3, 24), (3, 17, 21, 38)):
        process = start(workspace, options)
        _wait_for_images(workspace, images, process)
        time.sleep(chance.random() * 0.05)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        wait_for_none()
    assert files_of(workspace) != expected
    shards = scaled(2, 3)
    for index in range(shards, 0, -1):
        _finish(workspace, dataclasses.replace(options, shard=f"{index}/{shards}"))
    assert files_of(workspace) == expected
    assert options.weights_dir is not None
    assert list(options.weights_dir.iterdir()) == []


def test_a_child_in_the_middle_of_a_batch_does_not_outlive_its_supervisor(
    store: Store, options: SampleOptions, make_workspace: Callable[..., Workspace]
) -> None:
    endless = Hyperparameters(num_inference_steps=1_000_000)
    workspace = make_workspace(entry_of(store, ENDLESS, hyperparameters=endless))
    process = start(workspace, dataclasses.replace(options, images=2, steps=None))
    log = workspace.logs / "sample-1-of-1.jsonl"
    while process.is_alive() and not (log.exists() and "generator_started" in log.read_text()):
        time.sleep(0.01)
    # Starting and loading take less; after it, a million steps in which the child sends nothing.
    (child,) = [psutil.Process(pid) for pid in under_fork_server() if pid != process.pid]
    while sum(child.cpu_times()[:2]) < 0.8:
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    wait_for_none()


def test_a_killed_child_is_replaced_and_its_leftovers_are_removed(
    store: Store,
    options: SampleOptions,
    make_workspace: Callable[..., Workspace],
    undisturbed: Callable[[Callable[..., Workspace], SampleOptions], dict[str, bytes]],
) -> None:
    expected = undisturbed(make_workspace, options)
    workspace = _workspace(store, make_workspace)
    process = start(workspace, options)
    _wait_for_images(workspace, 3, process)
    (child,) = [pid for pid in under_fork_server() if pid != process.pid]
    os.kill(child, signal.SIGKILL)
    process.join(100)
    assert process.exitcode == 0
    # The first generator crashed and the others are whole; of the first, only images that a row speaks of are left.
    left = files_of(workspace)
    for name in NAMES[1:]:
        folder = name.replace("/", "--")
        assert {path: left[path] for path in left if folder in path} == {
            path: expected[path] for path in expected if folder in path
        }
    assert not [path for path in left if path.endswith(".partial")]
    pixels = PIXELS.replace("/", "--")
    assert len([path for path in left if path.startswith(f"images/{pixels}")]) % 2 == 0
    _finish(workspace, dataclasses.replace(options, retry_failed=True))
    assert files_of(workspace) == expected
