"""Sixteen processes on this machine sample generators of very different cost: the time over the lower bound, measured.

As processes, and as tasks of Ray. Each runs the real supervisor: pending work, claims, helping, storage, logs,
outcomes. Only the child and the downloads are replaced, by something that sleeps and sends valid batches of tiny
images. Estimates are wrong by a log-normal factor, one generator in a hundred takes ten times as long, and one in fifty
crashes. Time runs a hundred times as fast as in a campaign, and the waits of helping with it.

The lower bound is the mean of the seconds that have to be slept. The static shards are computed from the same seconds,
without any cost of the engine.
"""

import dataclasses
import hashlib
import math
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.imagined_campaign import CRASHES, ERROR, SLOW, SLOWER, imagined_entry
from benchmarks.timing import Comparison
from crawler.catalog import CatalogEntry, Hyperparameters, ModelFile, read_catalog
from engines.ray import RayEngine
from samplers.assignment import helping, units
from samplers.assignment.shard_assignment import assign_shards
from samplers.child.png import Png
from samplers.messages import Assignment, Ready, Result
from samplers.options import SampleOptions
from samplers.planning.cost import cost_of
from samplers.running import supervisor
from samplers.running.batch_checks import Expected, checked_batch
from samplers.running.worker import ChildLostError
from samplers.sample import Sample
from samplers.weights.store import LocalFiles, WeightStore
from workspace import records
from workspace.layout import Workspace

PROCESSES, GENERATORS, IMAGES, BATCH = 16, 640, 40, 2
#: Generators of a single process.
ALONE = 200
#: What is claimed of the time over the lower bound, where two cores have nothing else to do.
MOST = 1.06
#: What is claimed of a single process: a second an image is Stable Diffusion 1.5 with 25 steps on the nominal device
#: (`samplers.planning.cost`).
MOST_ALONE = 0.02
#: Seconds in one of the nominal device, and between two looks of a process that found nothing.
_SCALE, _LOOK_SECONDS = 0.01, 1.0
_NO_TIME = 1e-6


@dataclasses.dataclass(frozen=True)
class _Truth:
    """What is true of a generator."""

    image: float
    """Seconds."""
    crash: int | None
    """The sample at which it crashes."""

    @property
    def seconds(self) -> float:
        """Of all its images, or until it crashes."""
        return self.image * (IMAGES if self.crash is None else self.crash)


def _entry(number: int, chance: random.Random) -> CatalogEntry:
    steps = max(1, round(chance.lognormvariate(math.log(1000), 0.8)))
    file = ModelFile(path="unet/model.fp16.safetensors", size=1_700_000_000, sha256=f"{number:064x}")
    return imagined_entry(number, file, Hyperparameters(num_inference_steps=steps), task="unconditional")


def _truth(entry: CatalogEntry, scale: float) -> _Truth:
    """Of a generator; each process computes the same."""
    chance = random.Random(entry.revision)
    factor = chance.lognormvariate(0, ERROR) * (SLOWER if chance.random() < SLOW else 1.0)
    crash = chance.randrange(IMAGES) if chance.random() < CRASHES else None
    return _Truth(scale * factor * cost_of(entry, batch_size=BATCH).image, crash)


#: Of every generator, by name, as processes inherit it.
_TRUTH: dict[str, _Truth] = {}


class _Worker:
    """In place of the child: sleeps for as long as the images take."""

    walls = ()

    def __init__(self, start: Any, _: float) -> None:
        self.output = start.stderr

    def __enter__(self) -> "_Worker":
        self.output.touch()
        return self

    def __exit__(self, *_: object) -> None: ...

    def start(self) -> Ready:
        return Ready(device="cpu")

    def unload(self) -> None: ...

    def last_lines(self) -> tuple[str, ...]:
        return ()

    def sample(
        self,
        assignment: Assignment,
        store: Callable[[list[Sample], dict[int, bytes]], None],
        _: Callable[[int], None],
    ) -> Result:
        truth = _TRUTH[assignment.plan.generator]
        stop = assignment.plan.stop if assignment.stop is None else assignment.stop
        expected = Expected(plan=assignment.plan, next_index=assignment.first, stop=stop)
        found, ready = set(assignment.kept), time.monotonic()
        for batch in assignment.plan.batches(assignment.first, stop):
            # The device goes on while a batch is stored.
            ready += truth.image * len(batch)
            time.sleep(max(0.0, ready - time.monotonic()))
            if truth.crash is not None and batch[-1].index >= truth.crash:
                raise ChildLostError("crashed", "it was to crash")
            made = [_row(assignment, sample.index) for sample in batch if assignment.first <= sample.index < stop]
            rows, images = checked_batch([row for row, _ in made], [image for _, image in made], expected)
            store(rows, images)
            expected.next_index += len(rows)
            found |= {row.sha256 for row in rows if row.sha256}
            if assignment.images is not None and len(found) >= assignment.images:
                break
        return Result(status="done")


def _row(assignment: Assignment, index: int) -> tuple[dict[str, Any], bytes]:
    plan = assignment.plan
    pixels = hashlib.sha256(f"{plan.generator} {index}".encode()).digest()[:16]
    png = Png.of(np.frombuffer(pixels, np.uint8).reshape(4, 4))
    values: dict[str, Any] = {each.name: None for each in dataclasses.fields(Sample) if each.name != "image"}
    values |= {
        "model_name": plan.model_name,
        "revision": plan.revision,
        "index": index,
        "round": plan.round,
        "status": "ok",
        "origin": "sampled",
        "seed": plan.sample(index).seed,
        "batch_size": plan.batch_size,
        "call_size": assignment.call_size,
        "device": "cpu",
        "dtype": "float32",
        "scheduler": "",
        "libraries": "",
        "width": 4,
        "height": 4,
        "nsfw_flag": False,
        **png.columns(index),
    }
    return values, png.content


class _Store(WeightStore):
    """Has every file."""

    def fetch(self, *_: object) -> LocalFiles:
        return LocalFiles(self._folder.path, None, None, 0.0, 0.0)

    def fetch_checker(self, *_: object) -> Path:
        return self._folder.path


@dataclasses.dataclass(frozen=True)
class _Share:
    """What one process samples."""

    root: Path
    """Of the workspace."""
    options: SampleOptions
    processes: int
    """That begin at the same time."""
    scale: float
    """Seconds in one of the nominal device."""


def _sample(share: _Share) -> tuple[float, float]:
    """Sample a share when all processes are there; the seconds at which it began and ended, by the machine's clock."""
    for name, other in {"Worker": _Worker, "WeightStore": _Store, "warm_up": lambda _: None}.items():
        setattr(supervisor, name, other)
    supervisor._LOOK_SECONDS = helping._AGAIN_SECONDS = _LOOK_SECONDS
    if share.processes > 1:  # otherwise units are as long as ever
        units.UNIT_SECONDS = 1e-9
    workspace = Workspace(share.root)
    _TRUTH.update({entry.generator: _truth(entry, share.scale) for entry in read_catalog(workspace)})
    (share.root.parent / f"ready-{os.getpid()}").touch()
    while len([*share.root.parent.glob("ready-*")]) < share.processes:
        time.sleep(0.05)
    began = time.monotonic()
    supervisor.sample(workspace, share.options)
    return began, time.monotonic()


def _with_processes(shares: list[_Share]) -> list[tuple[float, float]]:
    with ProcessPoolExecutor(len(shares), multiprocessing.get_context("fork")) as pool:
        return list(pool.map(_sample, shares))


def _with_ray(shares: list[_Share]) -> list[tuple[float, float]]:
    import ray

    # As many tasks at a time as on a cluster with so many CPUs: they sleep.
    ray.init(num_cpus=len(shares), include_dashboard=False, log_to_driver=False)
    try:
        return [times for _, times in RayEngine().run(_sample, shares)]
    finally:
        ray.shutdown()


#: What starts the processes, by name.
_STARTED_BY = {"processes": _with_processes, "tasks of Ray": _with_ray}


@dataclasses.dataclass(frozen=True)
class Measured:
    """Seconds of one run."""

    taken: float
    bound: float
    """The lower bound."""
    static: float
    """What static shards would take."""


def measure(folder: Path, kind: str, processes: int, generators: int, scale: float = _SCALE) -> Measured:
    """Sample so many generators with so many processes or tasks of Ray."""
    chance = random.Random(0)
    entries = [_entry(number, chance) for number in range(generators)]
    workspace = Workspace.open(folder / "workspace")
    records.write(workspace.catalog, CatalogEntry, entries)
    given = SampleOptions(images=IMAGES, batch_size=BATCH, device="cpu", weights_dir=folder / "weights")
    times = _STARTED_BY[kind](
        [
            _Share(workspace.root, dataclasses.replace(given, shard=f"{number}/{processes}"), processes, scale)
            for number in range(1, processes + 1)
        ]
    )
    truths = {entry.generator: _truth(entry, scale).seconds for entry in entries}
    costs = {entry.generator: cost_of(entry, batch_size=BATCH).seconds(IMAGES) for entry in entries}
    static = max(sum(truths[name] for name in names) for names in assign_shards(costs, processes).names)
    taken = max(ended for _, ended in times) - max(began for began, _ in times)
    return Measured(taken, sum(truths.values()) / processes, static)


def run() -> Iterator[Comparison]:
    """Sixteen with helping, as processes and on Ray; and one alone, whose time is what all that costs."""
    for kind in _STARTED_BY:
        with tempfile.TemporaryDirectory(prefix="cf-bench-") as name:
            found = measure(Path(name), kind, PROCESSES, GENERATORS)
        what = f"{PROCESSES} {kind}, {GENERATORS} generators: {found.taken / found.bound:.3f} of the lower bound"
        claim = f"at most {MOST} of the lower bound"
        yield Comparison(
            f"{what} with helping, {found.static / found.bound:.2f} with static shards",
            found.taken,
            found.static,
            claim,
        )
    with tempfile.TemporaryDirectory(prefix="cf-bench-") as name:
        found = measure(Path(name), "processes", 1, ALONE, scale=_NO_TIME)
    yield Comparison(
        f"1 process, {ALONE} generators whose images take no time: choice, claims, journal, storage and logs, against "
        "a second for each image",
        found.taken,
        float(ALONE * IMAGES),
        f"at most {MOST_ALONE}",
    )
