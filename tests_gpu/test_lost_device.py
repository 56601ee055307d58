"""What ends the use of a GPU for a process, or the GPU itself, costs at most one generator."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from samplers.running.worker import ChildLostError, SamplingError
from tests_gpu.child import Child, assignment
from tests_gpu.memory import free_bytes


def test_after_a_kernel_that_failed_an_assertion_the_next_generator_gets_a_new_process(
    weights: Path, gpu: bool, start: Callable[..., Child]
) -> None:
    expected = start().sample(assignment(weights / "tiny")).hashes
    for batch in (4, 1):
        child = start()
        assert child.sample(assignment(weights / "tiny")).hashes == expected
        before = child.process
        failed = child.sample(assignment(weights / "asserting", batch=batch))
        assert failed.result.status == "sample-failed", failed.result
        assert (failed.result.device_lost, child.process != before) == (gpu, gpu), (failed.result, child.printed)
        assert child.sample(assignment(weights / "tiny")).hashes == expected


def test_a_device_that_does_not_exist_is_refused_in_one_line(start: Callable[..., Child]) -> None:
    with pytest.raises(SamplingError, match="--device cuda:63 cannot be used: ") as caught:
        start(on="cuda:63").ready()
    assert "\n" not in str(caught.value)


def test_a_device_that_is_gone_ends_the_run_and_no_generator_is_blamed(
    weights: Path, gpu: bool, start: Callable[..., Child]
) -> None:
    child = start()
    child.ready()
    # From now on no process gets a device.
    child.next_device("cuda:63")
    wanted = assignment(weights / "asserting")
    if gpu:
        with pytest.raises(SamplingError, match="--device cuda:63 cannot be used"):
            child.sample(wanted)
    else:
        assert child.sample(wanted).result.status == "sample-failed"


def test_a_process_that_is_killed_at_work_leaves_the_device_to_the_next(
    stable_diffusion: Path, weights: Path, gpu: bool, start: Callable[..., Child]
) -> None:
    before = free_bytes()
    child = start()
    child.ready()
    killed = child.process
    assert killed is not None
    timer = threading.Timer(3.0, os.kill, (killed, signal.SIGKILL))
    timer.start()
    with pytest.raises(ChildLostError, match="signal 9"):
        child.sample(assignment(stable_diffusion, images=400, num_inference_steps=200))
    timer.join()
    assert child.sample(assignment(weights / "tiny")).result.status == "done"
    child.close()
    deadline = time.monotonic() + 20
    while gpu and free_bytes() < before - (1 << 28) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert free_bytes() >= before - (1 << 28)
