"""What the walls of the sandbox cost: `cf-sample` with all of them against none, pair by pair.

Each run is the whole command, from its start to its end, in a workspace of its own: the start of the child, the
download, loading, sampling and the messages with the images. A run is 1 to 3 % faster or slower than the one before it
whatever it does, so two pairs of opposite order count as one: with, without, without, with.
"""

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.duty import run_python
from benchmarks.finetunes import BATCH, build, name_of, write_prompts
from benchmarks.timing import Comparison
from localhub.process import HubProcess
from samplers.sample import read_samples
from workspace.layout import Workspace
from workspace.sandbox.walls import WALLS, WITHOUT

#: Fine-tunes, images of each, and double pairs of runs that count.
GENERATORS, IMAGES, DOUBLE_PAIRS = 2, 72, 3
#: The time without walls divided by that with them, at least.
MIN_RATIO = 0.98


def run(generators: int = GENERATORS, images: int = IMAGES, double_pairs: int = DOUBLE_PAIRS) -> Iterator[Comparison]:
    """With all walls against without; raises `AssertionError` where they cost more than 2 %, or change an image."""
    with tempfile.TemporaryDirectory(prefix="cf-bench-") as name:
        folder = Path(name)
        build(folder / "hub")
        made = Workspace.open(folder / "workspace")
        write_prompts(made)
        with HubProcess(folder / "hub") as hub:
            environment = {**os.environ, **hub.environment(), "HF_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
            run_python(["-m", "crawler.cli", "--workspace", str(made.root)], environment)

            def sampled(without: str) -> tuple[float, list[str | None]]:
                """Seconds of one run, and the hashes of its images."""
                workspace = Workspace(shutil.copytree(made.root, folder / "run"))
                command = ["-c", "from samplers.cli import main; main()", "--workspace", str(workspace.root)]
                command += ["--images", str(images), "--batch-size", str(BATCH), "--device", "cpu"]
                command += ["--weights-dir", str(folder / "weights")]
                for number in range(generators):
                    command += ["--only", name_of(number)]
                started = time.perf_counter()
                run_python(command, {**environment, WITHOUT: without})
                seconds = time.perf_counter() - started
                rows = [row for number in range(generators) for row in read_samples(workspace, name_of(number))]
                shutil.rmtree(workspace.root)
                return seconds, [row.sha256 for row in rows]

            every = ",".join(WALLS)
            assert sampled("")[1] == sampled(every)[1], "the walls change an image"
            ours, theirs = [], []
            for _ in range(double_pairs):
                first, *both, last = (sampled(without)[0] for without in ("", every, every, ""))
                ours.append(first + last)
                theirs.append(sum(both))
    ratios = sorted(without / walls for walls, without in zip(ours, theirs, strict=True))
    ratio = statistics.median(ratios)
    assert ratio >= MIN_RATIO, f"the walls cost {1 / ratio - 1:.1%}; single ones {ratios[0]:.3f} to {ratios[-1]:.3f}"
    what = f"{generators} fine-tunes of {images} images with all walls: with none"
    # The median of the double pairs, not the ratio of two medians.
    seconds = statistics.median(ours) / 2
    claim = f"at least {MIN_RATIO}: 2 %; single ones {ratios[0]:.3f} to {ratios[-1]:.3f}"
    yield Comparison(what, seconds, seconds * ratio, claim)
