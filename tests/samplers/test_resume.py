"""Killed anywhere and continued by other shards, a run ends in the rows and PNG bytes of an undisturbed one."""

import dataclasses
import multiprocessing
import multiprocessing.forkserver
import os
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from crawler.catalog import Hyperparameters
from localhub.store import Store
from samplers.supervisor import sample
from samplers.survey import Run, Wish
from tests.samplers.conftest import BASE, CLASSES, ENDLESS, PIXELS
from tests.samplers.hub import entry_of, files_of
from tests.scale import scaled
from workspace.layout import Workspace
from workspace.shard import Shard

#: Small batches, so that every generator has several parts and a kill finds many different moments.
WISH = Wish(images=18, batch_size=2, steps=2)
NAMES = (PIXELS, CLASSES, BASE)


def _sample(root: Path, run: Run, wish: Wish = WISH) -> None:
    """A supervisor in a process of its own, from the fork server that has the imports, so that it starts in a moment.

    Two things that server is made not to do, a supervisor needs: reach the Hub, and serve more than its own parent (its
    children come from it as well, instead of from another that would import everything again).
    """
    import huggingface_hub.constants

    huggingface_hub.constants.HF_HUB_OFFLINE = False
    multiprocessing.forkserver._forkserver.ensure_running = lambda: None  # type: ignore[attr-defined]
    sample(Workspace(root), wish, run)


def _start(workspace: Workspace, run: Run) -> BaseProcess:
    process = multiprocessing.get_context("forkserver").Process(target=_sample, args=(workspace.root, run))
    process.start()
    return process


@pytest.fixture(scope="module")
def undisturbed(
    store: Store, hub: object, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Callable[..., Workspace], Run], dict[str, bytes]]:
    done: dict[str, bytes] = {}

    def files(make_workspace: Callable[..., Workspace], run: Run) -> dict[str, bytes]:
        if not done:
            workspace = _workspace(store, make_workspace)
            sample(workspace, WISH, run)
            done.update(files_of(workspace))
        return done

    return files


def _workspace(store: Store, make_workspace: Callable[..., Workspace]) -> Workspace:
    return make_workspace(*(entry_of(store, name, rank) for rank, name in enumerate(NAMES, start=1)))


def _children(pid: int) -> list[int]:
    """Processes that the fork server, parent of supervisor and child alike, has under it."""
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _fork_server() -> int:
    server = multiprocessing.forkserver._forkserver  # type: ignore[attr-defined]
    return int(server._forkserver_pid)


def _wait_for_images(workspace: Workspace, count: int, process: BaseProcess) -> None:
    while process.is_alive() and sum(1 for _ in workspace.images.rglob("*.png")) < count:
        time.sleep(0.002)


def _wait_for_no_children() -> None:
    """A child has nobody left to work for: it ends by itself, and soon."""
    deadline = time.monotonic() + 10
    while _children(_fork_server()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert _children(_fork_server()) == []


def _finish(workspace: Workspace, run: Run) -> None:
    process = _start(workspace, run)
    process.join(100)
    assert process.exitcode == 0


@pytest.mark.parametrize("seed", range(scaled(1, 12)))
def test_killed_anywhere_and_continued_by_other_shards(
    seed: int,
    store: Store,
    run: Run,
    make_workspace: Callable[..., Workspace],
    undisturbed: Callable[[Callable[..., Workspace], Run], dict[str, bytes]],
) -> None:
    expected = undisturbed(make_workspace, run)
    workspace = _workspace(store, make_workspace)
    chance = random.Random(seed)
    for images in (3, 17, 21, 38):
        process = _start(workspace, run)
        _wait_for_images(workspace, images, process)
        time.sleep(chance.random() * 0.05)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        _wait_for_no_children()
    assert files_of(workspace) != expected
    for index in (3, 2, 1):
        _finish(workspace, dataclasses.replace(run, shard=Shard(index, 3)))
    assert files_of(workspace) == expected
    assert run.weights_dir is not None
    assert list(run.weights_dir.iterdir()) == []


def test_a_child_in_the_middle_of_a_batch_does_not_outlive_its_supervisor(
    store: Store, run: Run, make_workspace: Callable[..., Workspace]
) -> None:
    endless = Hyperparameters(num_inference_steps=1_000_000)
    workspace = make_workspace(entry_of(store, ENDLESS, hyperparameters=endless))
    process = multiprocessing.get_context("forkserver").Process(
        target=_sample, args=(workspace.root, run, Wish(images=2, batch_size=2))
    )
    process.start()
    log = workspace.logs / "sample-1-of-1.jsonl"
    while process.is_alive() and not log.exists():
        time.sleep(0.01)
    # Loading takes a moment; after it, a million steps in which the child says nothing.
    time.sleep(3)
    assert len(_children(_fork_server())) == 2
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    _wait_for_no_children()


def test_a_killed_child_is_replaced_and_what_it_left_is_removed(
    store: Store,
    run: Run,
    make_workspace: Callable[..., Workspace],
    undisturbed: Callable[[Callable[..., Workspace], Run], dict[str, bytes]],
) -> None:
    expected = undisturbed(make_workspace, run)
    workspace = _workspace(store, make_workspace)
    process = _start(workspace, run)
    _wait_for_images(workspace, 13, process)
    (child,) = [pid for pid in _children(_fork_server()) if pid != process.pid]
    os.kill(child, signal.SIGKILL)
    process.join(100)
    assert process.exitcode == 0
    # The first generator crashed and the others are whole; of the first, only images that a row speaks of are left.
    left = files_of(workspace)
    for name in (CLASSES, BASE):
        folder = name.replace("/", "--")
        assert {path: left[path] for path in left if folder in path} == {
            path: expected[path] for path in expected if folder in path
        }
    assert not [path for path in left if path.endswith(".partial")]
    pixels = PIXELS.replace("/", "--")
    assert len([path for path in left if path.startswith(f"images/{pixels}")]) % 8 == 0
    _finish(workspace, dataclasses.replace(run, retry_failed=True))
    assert files_of(workspace) == expected
