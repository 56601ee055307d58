"""A sampling process as `cf-sample` starts it, in the sandbox, with what it sends kept."""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crawler.catalog import Hyperparameters
from samplers.messages import Assignment, Ready, Result, Start
from samplers.planning.plan import Plan, PlannedSample
from samplers.running.worker import Worker, warm_up
from samplers.sample import Sample
from tests_gpu.pipelines import size_of

#: Seconds without progress: the first call of a GPU loads its kernels.
_TIMEOUT = 120.0
_PROMPTS = ("a cat", "a coffee cup", "a rocket", "a horse", "a harbour", "a flower", "an owl")


@dataclass
class Made:
    """What a sampling process made of one assignment."""

    result: Result
    rows: list[Sample] = field(default_factory=list)
    images: dict[int, bytes] = field(default_factory=dict)
    """PNG files by index."""
    seconds: float = 0.0

    @property
    def hashes(self) -> list[str | None]:
        """The sha256 of each image, in order; None: it was rejected."""
        return [row.sha256 for row in self.rows]

    @property
    def pixels(self) -> npt.NDArray[np.float64]:
        """All images, 0 to 255: images x height x width x 3."""
        import cv2

        decoded = [
            cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR) for _, png in sorted(self.images.items())
        ]
        return np.stack([np.asarray(image, dtype=np.float64) for image in decoded])


class Child:
    """One worker with its process."""

    def __init__(self, weights: Path, device: str, folder: Path, memory: int | None = None) -> None:
        folder.mkdir()
        (folder / "home").mkdir()
        self._worker = Worker(
            Start(
                checker=weights / "checker",
                device=device,
                home=folder / "home",
                stderr=folder / "stderr.txt",
                weights=weights,
                memory=memory,
            ),
            _TIMEOUT,
        )
        warm_up(folder / "home")

    def ready(self) -> Ready:
        """Start the process."""
        return self._worker.start()

    @property
    def process(self) -> int | None:
        """The number of the process that runs."""
        return None if self._worker._process is None else self._worker._process.pid

    @property
    def printed(self) -> str:
        """The last lines that it printed."""
        return "\n".join(self._worker.last_lines())

    def next_device(self, device: str) -> None:
        """Give the next process another device than this one has."""
        self._worker._start = replace(self._worker._start, device=device)

    def sample(self, assignment: Assignment) -> Made:
        """What it makes of `assignment`; raises as `Worker.sample`."""
        made = Made(Result(status="done"))

        def store(rows: list[Sample], images: dict[int, bytes]) -> None:
            made.rows += rows
            made.images |= images

        started = time.perf_counter()
        made.result = self._worker.sample(assignment, store)
        made.seconds = time.perf_counter() - started
        return made

    def close(self) -> None:
        """End the process."""
        self._worker._end()


def assignment(folder: Path, images: int = 8, batch: int = 4, first: int = 0, **settings: Any) -> Assignment:
    """All samples of a generator in `folder` from `first` on, in batches of so many; `settings`: hyperparameters."""
    settings = size_of(folder) | settings
    plan = Plan(
        model_name=f"org/{folder.name}",
        revision="a" * 40,
        kind="checkpoint",
        task="text-to-image",
        variant=None,
        hyperparameters=Hyperparameters(**{"num_inference_steps": 4, **settings}),
        batch_size=batch,
        samples=tuple(
            PlannedSample(index=index, seed=100 + index, prompt=f"{_PROMPTS[index % 7]}, number {index}")
            for index in range(images)
        ),
    )
    return Assignment(plan=plan, folder=folder, base_folder=None, first=first, call_size=batch)
