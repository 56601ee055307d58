"""The plan: which images a generator should make, as a pure function of its catalogue row, the prompts and the recipe.

A generator should give `images` distinct images that pass every check. Each round of the recipe that asks for images of
it has a segment of its samples (`segments`), and a plan: the samples of the segment, each with its seed and, for
text-to-image generators, its prompt. They are sampled in fixed batches, counted from the first, because the composition
of a batch changes the last bits of its pixels, in order, until the number of images is reached or all are used. So any
process, on any shard, after any interruption, samples the same images.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from captioning.prompt_table import PromptText
from crawler.catalog import CatalogEntry, Hyperparameters, HyperparameterSources, Origin, Program, Task
from crawler.options import Kind
from samplers.options import Store
from samplers.planning.prompting import PromptPool
from samplers.planning.recipe import settings_of
from samplers.planning.segments import Segment
from workspace.errors import UsageError
from workspace.identity import seed_of
from workspace.layout import generator_name

#: Sources of a setting that must be in effect: the author or the user says so. Others are guesses by the repository.
DECLARED: tuple[Origin, ...] = ("card", "base", "user")


@dataclass(frozen=True, kw_only=True)
class PlannedSample:
    """One image to sample."""

    index: int
    seed: int
    prompt: str | None = None
    """With trigger words, as the pipeline gets it."""
    prompt_id: str | None = None
    real_source: str | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All samples of one generator, and how they are made."""

    model_name: str
    revision: str
    further_revision: bool = False
    """As in the catalogue."""
    kind: Kind
    task: Task
    variant: str | None
    hyperparameters: Hyperparameters
    round: int = 1
    """The round that asks for them."""
    batch_size: int
    """Images sampled together."""
    store: Store = "files"
    first: int = 0
    """The index of the first sample."""
    samples: tuple[PlannedSample, ...]
    """In order, without gaps."""
    allow_pickle: bool = False
    sources: HyperparameterSources = HyperparameterSources()
    """The source of each hyperparameter: what the author declared must be in effect."""
    single_file: str | None = None
    adapter_file: str | None = None
    embedding_file: str | None = None
    embedding_tokens: tuple[str, ...] = ()
    """As in the catalogue."""
    program: Program | None = None
    """How it is called, where it is no pipeline of diffusers."""

    @property
    def generator(self) -> str:
        """Its name in the workspace."""
        return generator_name(self.model_name, self.revision, self.further_revision)

    @property
    def extra(self) -> dict[str, Any]:
        """Further arguments of the pipeline call."""
        return json.loads(self.hyperparameters.extra) if self.hyperparameters.extra else {}

    @property
    def scheduler_config(self) -> dict[str, Any]:
        """Settings of the scheduler that differ from its configuration file."""
        return json.loads(self.hyperparameters.scheduler_config) if self.hyperparameters.scheduler_config else {}

    @property
    def trigger_words(self) -> str | None:
        """The words that every prompt has; None where there are none."""
        words, negative = self.hyperparameters.trigger_words, self.hyperparameters.negative_prompt
        # A negative embedding: its token belongs into the negative prompt only.
        if words is not None and self.kind == "textual-inversion" and words in (negative or ""):
            return None
        return words

    def stated_by(self, name: str) -> str:
        """Who wants this setting, in words."""
        return "the user sets" if getattr(self.sources, name, None) == "user" else "the catalogue declares"

    @property
    def stop(self) -> int:
        """The index after the last sample."""
        return self.first + len(self.samples)

    def sample(self, index: int) -> PlannedSample:
        """The sample with that index."""
        return self.samples[index - self.first]

    def batches(self, next_index: int, stop: int | None = None) -> Iterator[tuple[PlannedSample, ...]]:
        """The batches from the one that contains `next_index` to the one before `stop`, each complete; None: to the
        last sample."""
        if next_index >= self.stop:
            return
        number = next_index - self.first
        for start in range(
            number - number % self.batch_size, (self.stop if stop is None else stop) - self.first, self.batch_size
        ):
            yield self.samples[start : start + self.batch_size]


def plans_of(entry: CatalogEntry, segments: Sequence[Segment], pools: Mapping[int, PromptPool]) -> list[Plan]:
    """The plans of all segments of a compatible generator, in order; `pools`: the prompts of each round, under its
    reservation.

    A prompt that an earlier round plans is planned again only after all others. Raises `UsageError` when the generator
    needs prompts and there are none.
    """
    if entry.task is None:
        raise ValueError(f"{entry.model_name} has no task: it cannot be sampled")
    plans: list[Plan] = []
    planned: set[str] = set()
    for segment in segments:
        recipe, pool = segment.recipe, pools[segment.recipe.round]
        if entry.task == "text-to-image" and not pool.size:
            raise UsageError("text-to-image generators need prompts, and there are none: run `cf-caption` first")
        settings, sources = settings_of(entry, recipe)
        plan = Plan(
            model_name=entry.model_name,
            revision=entry.revision,
            further_revision=entry.further_revision,
            kind=entry.kind,
            task=entry.task,
            variant=entry.variant,
            hyperparameters=settings,
            round=recipe.round,
            batch_size=recipe.batch_size,
            store=recipe.store,
            first=segment.first,
            samples=(),
            allow_pickle=recipe.allow_pickle,
            sources=sources,
            single_file=entry.single_file,
            adapter_file=entry.adapter_file,
            embedding_file=entry.embedding_file,
            embedding_tokens=entry.embedding_tokens,
            program=entry.program,
        )
        drawn: list[PromptText] = []
        if entry.task == "text-to-image":
            split = recipe.reservation.split_of_generator(entry)
            draws = math.ceil((segment.stop - segment.first) / recipe.images_per_prompt)
            places = list(islice(pool.places(entry.model_name, split, planned), draws))
            planned |= {place.prompt_id for place in places}
            drawn = [pool.filled(place, entry.model_name, split) for place in places]
        plans.append(replace(plan, samples=tuple(_samples(plan, iter(drawn), segment))))
    return plans


def _samples(plan: Plan, drawn: Iterator[PromptText], segment: Segment) -> Iterator[PlannedSample]:
    prompt, recipe = None, segment.recipe
    for index in range(segment.first, segment.stop):
        seed = seed_of(plan.model_name, plan.revision, recipe.seed, index)
        if plan.task == "text-to-image" and (index - segment.first) % recipe.images_per_prompt == 0:
            prompt = next(drawn, None)
        if prompt is None:
            yield PlannedSample(index=index, seed=seed)
            continue
        text, source = _with_trigger_words(prompt.prompt, plan.trigger_words), prompt.real_source
        yield PlannedSample(index=index, seed=seed, prompt=text, prompt_id=prompt.prompt_id, real_source=source)


def _with_trigger_words(prompt: str, words: str | None) -> str:
    return prompt if not words or words in prompt else f"{words}, {prompt}"
