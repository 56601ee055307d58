"""Whether the prompts that are reserved are enough, and what it costs to reserve none."""

import math
from collections.abc import Iterator, Sequence
from itertools import islice

from captioning.prompt_table import PromptText
from crawler.catalog import CatalogEntry
from crawler.holdout import Split
from samplers.planning.prompting import PromptPool
from samplers.planning.recipe import Recipe
from samplers.planning.reservation import Reservation
from workspace.errors import UsageError

#: Generators of training from which the cost of reserving nothing is estimated.
_ESTIMATED_FROM = 50


def require_enough(entries: Sequence[CatalogEntry], prompts: PromptPool, recipe: Recipe) -> list[str]:
    """Whether each split has prompts of every real source, for its generators that need prompts; returns a line for
    each source that has fewer than they need.

    Raises `UsageError` where a source has none for a split that needs some, or where generators are held out and no
    prompt is reserved for them.
    """
    reservation = recipe.reservation
    by_split = _readers_by_split(entries, reservation)
    if not reservation.share:
        _require_reservation(by_split, prompts, recipe)
        return []
    lines = []
    totals = prompts.sizes()
    for split, readers in by_split.items():
        images = max(recipe.of(entry).images for entry in readers)
        for source, size in prompts.sizes(split).items():
            if not size:
                raise UsageError(
                    f"--evaluation-prompts {reservation.share:g} leaves no prompt of {source} (of {totals[source]}) "
                    f"for the generators of {split}: use another share, add real images with `cf-caption`, or leave "
                    f"the source out with --source-weight {source}=0"
                )
            needed = _needed(prompts, source, images, recipe.images_per_prompt)
            if split != "train" and size < needed:
                lines.append(
                    f"{source}: {size} of {totals[source]} prompts are reserved for {split}, whose generators each "
                    f"need {needed} of them for {images} images: they are repeated, or those of other sources "
                    "used more (a larger --evaluation-prompts reserves more)"
                )
    return lines


def _require_reservation(by_split: dict[Split, list[CatalogEntry]], prompts: PromptPool, recipe: Recipe) -> None:
    """Raise `UsageError` where generators are held out: with the number of images that would be lost for training."""
    if not recipe.holdout and not recipe.validation:
        return
    held = {
        prompt.real_sha256 or prompt.prompt
        for split in ("validation", "test")
        for entry in by_split.get(split, ())
        for prompt in _drawn(entry, prompts, recipe)
    }
    if not held:
        return
    training = by_split.get("train", [])
    looked_at = training[:_ESTIMATED_FROM]
    lost = sum(
        (prompt.real_sha256 or prompt.prompt) in held
        for entry in looked_at
        for prompt in _drawn(entry, prompts, recipe)
    )
    of = sum(recipe.of(entry).images for entry in training)
    about = round(lost * recipe.images_per_prompt * len(training) / (len(looked_at) or 1))
    raise UsageError(
        "--holdout and --validation reserve nothing by themselves: the manifest would leave out about "
        f"{min(about, of):,} of {of:,} training images, whose captions the held-out generators have too; add "
        "--evaluation-prompts 0.1, or leave them to `cf-build-manifest`"
    )


def _readers_by_split(entries: Sequence[CatalogEntry], reservation: Reservation) -> dict[Split, list[CatalogEntry]]:
    """The generators that need prompts, by what they are for."""
    by_split: dict[Split, list[CatalogEntry]] = {}
    for entry in entries:
        if entry.task == "text-to-image":
            by_split.setdefault(reservation.holdouts.split_of(entry), []).append(entry)
    return by_split


def _drawn(entry: CatalogEntry, prompts: PromptPool, recipe: Recipe) -> Iterator[PromptText]:
    return islice(prompts.draw(entry.model_name), math.ceil(recipe.of(entry).images / recipe.images_per_prompt))


def _needed(prompts: PromptPool, source: str, images: int, images_per_prompt: int) -> int:
    """Prompts of a source that a generator draws, where none of its images is rejected."""
    weights = {name: prompts.weights[name] for name in prompts.sizes()}
    share = weights[source] / sum(weights.values())
    return math.ceil(math.ceil(images / images_per_prompt) * share)
