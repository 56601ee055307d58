"""What holds of every engine: results, failures, lost processes, interrupts."""

import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engines.engine import TRIES, Engine, LostError
from engines.local import LocalEngine
from engines.ray import RayEngine
from tests.engines.calls import (
    die,
    fail,
    nodes_with_a_call,
    process_and_devices,
    square,
    token,
    wait_for_ever,
    wait_on_a_node,
)
from tests.engines.conftest import FURTHER, Nodes
from workspace.errors import CommunityForensicsError, UsageError


@pytest.fixture(params=["local", "ray"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """An engine."""
    if request.param == "local":
        return LocalEngine(2)
    found: Engine = request.getfixturevalue("on_ray")
    return found


def test_each_item_comes_back_with_its_result(engine: Engine) -> None:
    assert sorted(engine.run(square, [3, 1, 2, 3])) == [(1, 1), (2, 4), (3, 9), (3, 9)]
    assert [*engine.run(square, [])] == []


def test_a_lost_process_is_replaced_and_its_item_called_again(engine: Engine, tmp_path: Path) -> None:
    item = (tmp_path, TRIES - 1)
    assert [*engine.run(die, [item])] == [(item, TRIES)]


def test_an_item_that_loses_every_process_is_called_a_bounded_number_of_times(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(LostError, match=f"{TRIES} times with the same work"):
        [*engine.run(die, [(tmp_path, 100)])]
    assert len(list(tmp_path.iterdir())) == TRIES


def test_an_item_whose_node_is_killed_is_called_again(cluster: Nodes, on_ray: RayEngine, tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        running = pool.submit(lambda: [*on_ray.run(wait_on_a_node, [(tmp_path, n) for n in range(1 + FURTHER)])])
        while len(nodes_with_a_call(tmp_path)) < 1 + FURTHER and not running.done():
            time.sleep(0.02)
        cluster.kill(0)
        (tmp_path / "end").touch()
        found = running.result()
    assert sorted(number for (_, number), _ in found) == [*range(1 + FURTHER)]
    assert max(calls for _, calls in found) == 2 + FURTHER


def test_what_the_function_raises_reaches_the_caller(engine: Engine) -> None:
    with pytest.raises(UsageError, match="--images must be at least 1"):
        [*engine.run(fail, ["usage"])]
    with pytest.raises(ZeroDivisionError, match="nothing") as raised:
        [*engine.run(fail, ["nothing"])]
    assert "in fail" in raised.value.__notes__[0]
    with pytest.raises(CommunityForensicsError, match="StrangeError: this and that"):
        [*engine.run(fail, ["strange"])]


def test_a_call_that_runs_is_interrupted_and_ends_in_order(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "blocked"
    folder.mkdir()
    results = engine.run(wait_for_ever, [None, folder])
    assert isinstance(results, Generator)
    assert next(results)[0] is None
    while not (folder / "started").exists():
        time.sleep(0.01)
    results.close()
    assert (folder / "ended in order").exists()


def test_threads_of_a_call_are_those_of_the_caller(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert [threads for _, (_, _, threads) in engine.run(process_and_devices, [0])] == ["3"]


def test_each_local_process_has_gpus_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6,7")
    assert LocalEngine().workers(gpus=1) == 3
    found = {devices for _, (_, devices, _) in LocalEngine(2).run(process_and_devices, [*range(9)], gpus=1)}
    assert found <= {"4", "6"}
    with pytest.raises(UsageError, match="has 3 GPUs"):
        LocalEngine().workers(gpus=4)


def test_a_token_reaches_the_tasks_and_no_file_of_ray(
    cluster: Nodes, on_ray: RayEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "hf_that_nobody_else_may_read"
    monkeypatch.setenv("HF_TOKEN", secret)
    assert [found for _, found in on_ray.run(token, [1])] == [secret]
    with pytest.raises(LostError):
        [*on_ray.run(die, [(cluster.folder, 1 << 30)])]
    files = [path for path in cluster.folder.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if secret.encode() in path.read_bytes()] == []


def test_no_thread_is_left(engine: Engine) -> None:
    [*engine.run(square, [1])]
    before = threading.active_count()
    [*engine.run(square, [1])]
    assert threading.active_count() == before
