"""What the walls of the sandbox cost: `cf-sample` with all of them against none, pair by pair.

Each run is the whole command, from its start to its end, in a workspace of its own: the start of the child, the
download, loading, sampling and the messages with the images. The order in a pair changes, so that a machine that gets
warmer or busier meanwhile favours neither.
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

#: Fine-tunes, images of each, and pairs of runs that count.
GENERATORS, IMAGES, PAIRS = 4, 72, 7
#: The time without walls divided by that with them, at least.
MIN_RATIO = 0.98


def run(generators: int = GENERATORS, images: int = IMAGES, pairs: int = PAIRS) -> Iterator[Comparison]:
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
            seconds: dict[str, list[float]] = {"": [], every: []}
            for number in range(pairs):
                for without in ("", every) if number % 2 else (every, ""):
                    seconds[without].append(sampled(without)[0])
    ratios = sorted(theirs / ours for ours, theirs in zip(seconds[""], seconds[every], strict=True))
    ratio = statistics.median(ratios)
    assert ratio >= MIN_RATIO, f"the walls cost {1 / ratio - 1:.1%}; single pairs {ratios[0]:.3f} to {ratios[-1]:.3f}"
    what = f"{generators} fine-tunes of {images} images with all walls: with none"
    # The median of the pairs, not the ratio of two medians.
    ours = statistics.median(seconds[""])
    claim = f"at least {MIN_RATIO}: 2 %; single pairs {ratios[0]:.3f} to {ratios[-1]:.3f}"
    yield Comparison(what, ours, ours * ratio, claim)
