"""The plan: which images a generator owes, as a pure function of its catalogue row, the prompts and the recipe.

A generator owes `images` distinct images that pass every check. It is asked in tries, numbered from 0: each has its
seed and, where the generator reads, its prompt. Tries are sampled in fixed batches, [b*B, (b+1)*B), because a batch's
composition reaches the last bit of its pixels; they are taken in order until the number is reached or the tries are
spent. So whoever samples a generator, wherever and however often interrupted, samples the same images.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from crawler.catalog import CatalogEntry, Hyperparameters, Task
from crawler.options import Kind
from samplers.options import Store
from samplers.prompting import PromptPool
from workspace.errors import UsageError
from workspace.identity import seed_of
from workspace.recipe import Setting

#: Batches a part file holds: what a kill costs at most, against the number of files a generator leaves.
BATCHES_A_PART = 4

#: The round that is being made; growth (a later issue of the recipe) opens others.
ROUND = 1


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What the user chose, as far as it changes a pixel or a row."""

    images: int
    batch_size: int
    max_tries: int
    seed: int
    steps: int | None
    safety_checker: str
    """repository@commit"""
    prompts: str | None
    """Digest of all prompts; None where there are none."""
    source_weights: dict[str, float] | None = None
    """Of every real source; None: all alike."""
    store: Store = "files"
    allow_pickle: bool = False
    """Whether checkpoints whose weights are pickles are taken, and read as weights only."""

    def __post_init__(self) -> None:
        if self.max_tries < self.images:
            raise UsageError(f"--max-tries {self.max_tries} cannot give --images {self.images}: name at least as many")

    def settings(self) -> dict[str, Setting | None]:
        """The table `[sample]` of the workspace's recipe."""
        return {
            "images": self.images,
            "batch_size": self.batch_size,
            "max_tries": self.max_tries,
            "seed": self.seed,
            "steps": self.steps,
            "safety_checker": self.safety_checker,
            "prompts": self.prompts,
            "source_weights": self.source_weights,
            "store": self.store,
            "allow_pickle": self.allow_pickle,
        }


@dataclass(frozen=True, kw_only=True)
class Try:
    """One image that may be asked for."""

    index: int
    seed: int
    prompt: str | None = None
    """Exactly what the pipeline will be given."""
    prompt_id: str | None = None
    real_source: str | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that is to be asked of one generator, and how."""

    model_name: str
    revision: str
    kind: Kind
    task: Task
    variant: str | None
    hyperparameters: Hyperparameters
    images: int
    batch_size: int
    store: Store = "files"
    tries: tuple[Try, ...]
    allow_pickle: bool = False

    @property
    def extra(self) -> dict[str, Any]:
        """Further arguments of the pipeline call."""
        return json.loads(self.hyperparameters.extra) if self.hyperparameters.extra else {}

    def batches(self, next_index: int) -> Iterator[tuple[Try, ...]]:
        """The batches from the one that holds `next_index` on, each whole; none when every try is behind it."""
        if next_index >= len(self.tries):
            return
        first = next_index - next_index % self.batch_size
        for start in range(first, len(self.tries), self.batch_size):
            yield self.tries[start : start + self.batch_size]


def plan_of(entry: CatalogEntry, prompts: PromptPool, recipe: Recipe) -> Plan:
    """The plan of one compatible generator. Raises `UsageError` when it needs prompts and there are none."""
    if entry.task is None:
        raise ValueError(f"{entry.model_name} has no task: it cannot be sampled")
    if entry.task == "text-to-image" and not prompts.size:
        raise UsageError("text-to-image generators need prompts, and there are none: run `cf-caption` first")
    drawn = prompts.draw(entry.model_name) if entry.task == "text-to-image" else iter(())
    tries = []
    for index in range(recipe.max_tries):
        seed = seed_of(entry.model_name, entry.revision, recipe.seed, index)
        prompt = next(drawn, None)
        if prompt is None:
            tries.append(Try(index=index, seed=seed))
            continue
        text = _with_trigger(prompt.prompt, entry.hyperparameters.trigger_words)
        tries.append(
            Try(index=index, seed=seed, prompt=text, prompt_id=prompt.prompt_id, real_source=prompt.real_source)
        )
    hyperparameters = entry.hyperparameters
    if recipe.steps is not None:
        hyperparameters = replace(hyperparameters, num_inference_steps=recipe.steps)
    return Plan(
        model_name=entry.model_name,
        revision=entry.revision,
        kind=entry.kind,
        task=entry.task,
        variant=entry.variant,
        hyperparameters=hyperparameters,
        images=recipe.images,
        batch_size=recipe.batch_size,
        store=recipe.store,
        tries=tuple(tries),
        allow_pickle=recipe.allow_pickle,
    )


def _with_trigger(prompt: str, words: str | None) -> str:
    return prompt if not words or words in prompt else f"{words}, {prompt}"
