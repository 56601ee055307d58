"""Generators as a campaign has them, with what is true of them beside the estimate: for simulations, not on a disk.

The estimate is the product's own, from catalogue rows of a few families; it is wrong by a log-normal factor, one in a
hundred takes ten times as long, and one in fifty crashes at some sample.
"""

import random
from dataclasses import dataclass, field, replace
from typing import Any

from crawler.catalog import CatalogEntry, Hyperparameters, HyperparameterSources, ModelFile
from samplers.assignment.units import Unit, units_of
from samplers.options import SampleOptions
from samplers.planning.cost import Cost, cost_of
from samplers.planning.recipe import Recipe
from samplers.planning.segments import Segment, segments_of
from samplers.storage.segment_progress import SegmentProgress

#: Standard deviation of log(true / estimated), shares of generators that are slow and that crash, and how slow.
ERROR, SLOW, SLOWER, CRASHES = 0.5, 0.01, 10.0, 0.02
#: Share of samples that are rejected.
REJECTED = 0.03
#: Bytes a second of one process's downloads.
DOWNLOAD = 250e6
#: A batch that takes longer ends its generator, as in the product.
TIMEOUT = SampleOptions.timeout
#: Side, folder of the denoiser, its bytes, pipeline class and how common they are: half-precision fine-tunes of Stable
#: Diffusion 1.5 and XL, and transformers.
_FAMILIES = (
    (512, "unet", 1.7e9, "StableDiffusionPipeline", 0.6),
    (1024, "unet", 5.1e9, "StableDiffusionXLPipeline", 0.25),
    (1024, "transformer", 4e9, "FluxPipeline", 0.05),
    (1024, "transformer", 12e9, "FluxPipeline", 0.05),
    (1024, "transformer", 24e9, "FluxPipeline", 0.05),
)
_STEPS = (4, 20, 25, 30, 50, 50, 100)
_RECIPE = Recipe(images=400, batch_size=8, max_tries=800, seed=0, steps=None, safety_checker="a@b", prompts=None)


@dataclass
class Generator:
    """One generator, and what is made of it."""

    name: str
    cost: Cost
    """Estimated."""
    segment: Segment
    factor: float
    """True seconds in an estimated one."""
    crash: int | None
    """The sample at which it crashes."""
    download: float
    """Seconds."""
    made: list[tuple[int, int]] = field(default_factory=list)
    kept: int = 0
    ended: bool = False
    spent: float = 0.0
    """Seconds that processes worked on it, loading included."""
    _units: dict[int, Unit] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """That one process needs for all of it."""
        samples = _samples(self.segment.first, self.segment.images) if self.crash is None else self.crash
        return self.load + self.time_of(samples)[0]

    @property
    def samples_left(self) -> int:
        """Samples after the last one until enough images are kept, or it crashes."""
        at = self.made[-1][1] if self.made else self.segment.first
        left = _samples(at, self.missing)
        return left if self.crash is None else min(left, max(0, self.crash - at))

    @property
    def load(self) -> float:
        """Seconds to load it."""
        return self.cost.load * self.factor

    def time_of(self, samples: int) -> tuple[float, bool]:
        """Seconds to make so many samples; whether the time-out ends it."""
        image = self.cost.image * self.factor
        hangs = image * self.segment.recipe.batch_size > TIMEOUT
        return (TIMEOUT, True) if hangs else (image * samples, False)

    @property
    def missing(self) -> int:
        """Images."""
        return self.segment.images - self.kept

    @property
    def units(self) -> dict[int, Unit]:
        """Those that are not made, by their start, as the product finds them in the rows. New ones, for images that
        were rejected, are looked for when the others are made."""
        if not self._units:
            first = self.segment.first
            gaps = zip([first, *(stop for _, stop in self.made)], (first for first, _ in self.made), strict=False)
            state = SegmentProgress(
                segment=self.segment,
                next_index=max((stop for _, stop in self.made), default=first),
                gaps=tuple((stop, first) for stop, first in gaps if stop < first),
                kept=frozenset(),
                missing=self.missing,
                last=None,
            )
            self._units = {unit.start: unit for unit in units_of([state], self.cost)}
        return self._units

    def add(self, unit: Unit) -> None:
        """A unit is made; which of its samples are rejected depends on nothing else."""
        del self._units[unit.start]
        self.made = sorted([*self.made, *unit.ranges])
        for first, stop in unit.ranges:
            self.kept += sum(map(_is_kept, range(first, stop)))


def _is_kept(index: int) -> bool:
    return index * REJECTED % 1 < 1 - REJECTED


def _samples(first: int, images: int) -> int:
    """Samples from this index on until so many images are kept."""
    index = first
    while images > 0:
        images -= _is_kept(index)
        index += 1
    return index - first


def campaign(count: int, seed: int = 0) -> list[Generator]:
    """So many generators."""
    chance = random.Random(seed)
    found = []
    for number in range(count):
        entry = _entry(number, chance)
        (segment,) = segments_of(entry, [_RECIPE])
        factor = chance.lognormvariate(0, ERROR) * (SLOWER if chance.random() < SLOW else 1.0)
        crash = chance.randrange(_RECIPE.images) if chance.random() < CRASHES else None
        cost = cost_of(replace(entry, hyperparameters=segment.settings), batch_size=_RECIPE.batch_size)
        found.append(Generator(entry.generator, cost, segment, factor, crash, entry.download_bytes / DOWNLOAD))
    return found


def _entry(number: int, chance: random.Random) -> CatalogEntry:
    side, folder, size, tag, _ = chance.choices(_FAMILIES, [family[-1] for family in _FAMILIES])[0]
    steps = chance.choice(_STEPS)
    file = ModelFile(path=f"{folder}/model.fp16.safetensors", size=int(size), sha256=f"{number:064x}")
    settings = Hyperparameters(num_inference_steps=steps, guidance_scale=7.5, height=side, width=side)
    return imagined_entry(number, file, settings, task="text-to-image", hf_diffusers_tag=tag)


def imagined_entry(number: int, file: ModelFile, settings: Hyperparameters, **values: Any) -> CatalogEntry:
    """A latent diffusion model of one file with weights; `values` are its other columns, such as `task`."""
    return CatalogEntry(
        model_name=f"org/model-{number:05}",
        revision=f"{number:040x}",
        subset="Systematic",
        rank=number + 1,
        downloads=0,
        likes=0,
        license_source="none",
        license_family="unknown",
        architecture="LatDiff",
        architecture_evidence="pipeline class",
        kind="checkpoint",
        variant="fp16",
        files=(file,),
        download_bytes=file.size,
        hyperparameters=settings,
        hyperparameter_sources=HyperparameterSources(),
        crawled_at="2026-01-01T00:00:00Z",
        status="compatible",
        **values,
    )
