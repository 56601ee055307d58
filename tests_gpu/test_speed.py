"""Images a second against a plain loop, and the share of the time in which the GPU works.

The plain loop has no safety checker, no sandbox, no second process, and saves its images between two batches. Both load
from files that were read before.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from samplers.outcomes import BUSY
from tests_gpu.child import Child, assignment
from tests_gpu.conftest import Record

#: Images a second, of those of the plain loop, and the share of sampling, decoding and checking in all of the time.
LEAST_SPEED, LEAST_DUTY = 0.85, 0.85


@pytest.mark.parametrize(
    ("pipeline", "images", "batch", "steps"), [("stable_diffusion", 64, 8, 25), ("flux", 16, 2, 8)]
)
def test_sampling_is_about_as_fast_as_a_plain_loop(
    pipeline: str,
    images: int,
    batch: int,
    steps: int,
    request: pytest.FixtureRequest,
    device: str,
    gpu: bool,
    start: Callable[..., Child],
    tmp_path: Path,
    record: Record,
) -> None:
    folder = Path(request.getfixturevalue(pipeline))
    if not gpu:
        images, steps = 2 * batch, 2
    settings = [str(images), str(batch), str(steps)]
    command = [sys.executable, "-m", "tests_gpu.plain_loop", str(folder), device, *settings, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    plain = json.loads(done.stdout.splitlines()[-1])
    child = start()
    child.ready()
    made = child.sample(assignment(folder, images=images, batch=batch, num_inference_steps=steps))
    assert (made.result.status, len(made.rows)) == ("done", images), made.result
    seconds = made.result.seconds
    sampling = made.seconds - seconds["load"]
    ours, theirs = images / sampling, images / plain["sample"]
    duty = sum(seconds.get(phase, 0.0) for phase in BUSY) / sampling
    what = f"{folder.name}, batches of {batch}, {steps} steps"
    record(f"{what}: images a second, here and in a plain loop", f"{ours:.2f} and {theirs:.2f} ({ours / theirs:.2f})")
    record(f"{what}: loading, here and there", f"{seconds['load']:.1f} s and {plain['load']:.1f} s")
    record(f"{what}: share of the time in which the GPU works", f"{duty:.1%}")
    if gpu:
        assert ours / theirs >= LEAST_SPEED
        assert duty >= LEAST_DUTY
