"""The plan: which images a generator should make, as a pure function of its catalogue row, the prompts and the recipe.

A generator should give `images` distinct images that pass every check. The plan lists `max_tries` samples, numbered
from 0; each has its seed and, for text-to-image generators, its prompt. They are sampled in fixed batches,
[b*B, (b+1)*B), because the composition of a batch changes the last bits of its pixels, in order, until the number of
images is reached or all are used. So any process, on any shard, after any interruption, samples the same images.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from captioning.prompt import Prompt
from crawler.catalog import CatalogEntry, Hyperparameters, HyperparameterSources, Task
from crawler.options import Kind
from samplers.options import Store
from samplers.prompting import PromptPool
from samplers.reservation import Reservation
from workspace import recipe as recipes
from workspace.errors import UsageError
from workspace.identity import SEED_BITS, seed_of
from workspace.layout import Workspace, generator_name
from workspace.recipe import Setting

#: Batches in one part file: a kill costs at most these; more batches make fewer files for each generator.
BATCHES_A_PART = 4

#: Arguments of a pipeline's call that name every step, and so how many there are.
STEP_LISTS = ("timesteps", "sigmas")

#: The round that is sampled; a later version may add rounds.
ROUND = 1


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The choices that change a pixel or a row."""

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
    """Of every real source; None: all equal."""
    store: Store = "files"
    allow_pickle: bool = False
    """Whether generators with pickled weights are sampled, loaded with `weights_only`."""
    images_per_prompt: int = 1
    """How often in a row each drawn prompt is used."""
    evaluation_prompts: float = 0.0
    """Share of the prompts that is reserved for held-out generators, and another such share for those of validation."""
    holdout: list[str] | None = None
    """The held-out generators, as `Holdout` texts in order; None: none."""
    validation: list[str] | None = None
    """Those of validation."""
    seed_bits: int = SEED_BITS
    """Of every seed; workspaces of the version with 63 do not name it."""

    @property
    def reservation(self) -> Reservation:
        """Which prompts are reserved for which generators."""
        return Reservation.named(self.evaluation_prompts, self.holdout or (), self.validation or ())

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
            "images_per_prompt": self.images_per_prompt,
            "evaluation_prompts": self.evaluation_prompts,
            "holdout": self.holdout,
            "validation": self.validation,
            "seed_bits": self.seed_bits,
        }


def require_same_seeds(workspace: Workspace) -> None:
    """Raise `UsageError` where another version sampled the workspace, whose seeds, and so images, are other ones."""
    sampled = recipes.read(workspace).get("sample")
    if sampled is not None and sampled.get("seed_bits") != SEED_BITS:
        raise UsageError(
            f"{workspace.recipe}: the images of this workspace were written by another version of community-forensics, "
            f"with seeds of {sampled.get('seed_bits', 63)} bits instead of {SEED_BITS}: continue with that version, or "
            "use another --workspace"
        )


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
    images: int
    """Distinct images to keep."""
    batch_size: int
    """Images sampled together."""
    store: Store = "files"
    samples: tuple[PlannedSample, ...]
    allow_pickle: bool = False
    sources: HyperparameterSources = HyperparameterSources()
    """The source of each hyperparameter: what the author declared must be in effect."""
    adapter_file: str | None = None
    embedding_file: str | None = None
    embedding_tokens: tuple[str, ...] = ()
    """As in the catalogue."""

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

    def batches(self, next_index: int, stop: int | None = None) -> Iterator[tuple[PlannedSample, ...]]:
        """The batches from the one that contains `next_index` to the one before `stop`, each complete; None: to the
        last sample."""
        if next_index >= len(self.samples):
            return
        first = next_index - next_index % self.batch_size
        for start in range(first, len(self.samples) if stop is None else stop, self.batch_size):
            yield self.samples[start : start + self.batch_size]


def plan_of(entry: CatalogEntry, prompts: PromptPool, recipe: Recipe) -> Plan:
    """The plan of one compatible generator; `prompts` are those of the recipe's reservation.

    Raises `UsageError` when it needs prompts and there are none.
    """
    if entry.task is None:
        raise ValueError(f"{entry.model_name} has no task: it cannot be sampled")
    if entry.task == "text-to-image" and not prompts.size:
        raise UsageError("text-to-image generators need prompts, and there are none: run `cf-caption` first")
    split = recipe.reservation.split_of_generator(entry)
    plan = Plan(
        model_name=entry.model_name,
        revision=entry.revision,
        further_revision=entry.further_revision,
        kind=entry.kind,
        task=entry.task,
        variant=entry.variant,
        hyperparameters=entry.hyperparameters,
        images=recipe.images,
        batch_size=recipe.batch_size,
        store=recipe.store,
        samples=(),
        allow_pickle=recipe.allow_pickle,
        sources=entry.hyperparameter_sources,
        adapter_file=entry.adapter_file,
        embedding_file=entry.embedding_file,
        embedding_tokens=entry.embedding_tokens,
    )
    if recipe.steps is not None:
        plan = _with_steps(plan, recipe.steps)
    return replace(plan, samples=tuple(_samples(plan, prompts.draw(entry.model_name, split), recipe)))


def _samples(plan: Plan, drawn: Iterator[Prompt], recipe: Recipe) -> Iterator[PlannedSample]:
    prompt = None
    for index in range(recipe.max_tries):
        seed = seed_of(plan.model_name, plan.revision, recipe.seed, index)
        if plan.task == "text-to-image" and index % recipe.images_per_prompt == 0:
            prompt = next(drawn, None)
        if prompt is None:
            yield PlannedSample(index=index, seed=seed)
            continue
        text, source = _with_trigger_words(prompt.prompt, plan.trigger_words), prompt.real_source
        yield PlannedSample(index=index, seed=seed, prompt=text, prompt_id=prompt.prompt_id, real_source=source)


def _with_steps(plan: Plan, steps: int) -> Plan:
    """The plan with the recipe's number of steps, which no list of steps of the card may overrule."""
    extra = {name: value for name, value in plan.extra.items() if name not in STEP_LISTS}
    settings = replace(
        plan.hyperparameters,
        num_inference_steps=steps,
        extra=json.dumps(extra, ensure_ascii=False, sort_keys=True) if extra else None,
    )
    # It is the user's, not the author's: a pipeline without such an argument is sampled without it.
    return replace(plan, hyperparameters=settings, sources=replace(plan.sources, num_inference_steps=None))


def _with_trigger_words(prompt: str, words: str | None) -> str:
    return prompt if not words or words in prompt else f"{words}, {prompt}"
