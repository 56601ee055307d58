"""Segments: which samples of a generator each round of the recipe asks for.

The samples of a generator are numbered through all rounds. The segment of a round begins where that of the round before
could end at most, so it is known before anything is sampled, and what an earlier round made stays as it is. A round
asks for the images that its number has beyond those of earlier rounds with the same settings; with other settings of
the generator (steps, size, seed, ...) for the whole number again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from crawler.catalog import CatalogEntry, Hyperparameters
from samplers.planning.recipe import Recipe, settings_of


@dataclass(frozen=True, kw_only=True)
class Segment:
    """The samples [first, stop) of one generator, in batches counted from the first."""

    recipe: Recipe
    """Of the round that asks for them."""
    settings: Hyperparameters
    """How they are sampled."""
    first: int
    stop: int
    images: int
    """Distinct images to keep, of it and of the segments before with the same settings and seed."""

    def counts_with(self, other: "Segment") -> bool:
        """Whether the images of both count for one number."""
        return self.settings == other.settings and self.recipe.seed == other.recipe.seed

    def batch_start(self, index: int) -> int:
        """The index of the first sample of the batch that has this one."""
        return index - (index - self.first) % self.recipe.batch_size


def segments_of(entry: CatalogEntry, recipes: Sequence[Recipe]) -> tuple[Segment, ...]:
    """The segments of a generator, in order; none where no round asks for images of it. `recipes`: of the rounds that
    are sampled, in order."""
    segments: list[Segment] = []
    for recipe in (one.of(entry) for one in recipes):
        if not entry.round <= recipe.round <= (entry.last_round or recipe.round):
            continue
        if entry.status != "compatible" and not recipe.allow_pickle:
            continue
        first = segments[-1].stop if segments else 0
        settings, _ = settings_of(entry, recipe)
        segment = Segment(recipe=recipe, settings=settings, first=first, stop=first, images=recipe.images)
        same = [other for other in segments if other.counts_with(segment)]
        images = max((other.images for other in same), default=0)
        if segment.images <= images:
            continue
        tries = recipe.max_tries - sum(other.stop - other.first for other in same)
        stop = first + max(tries, segment.images - images)
        segments.append(Segment(recipe=recipe, settings=settings, first=first, stop=stop, images=segment.images))
    return tuple(segments)


def images_owed(segments: Sequence[Segment]) -> int:
    """Distinct images that a generator should have after all its segments."""
    last = [
        one
        for number, one in enumerate(segments)
        if not any(one.counts_with(other) for other in segments[number + 1 :])
    ]
    return sum(one.images for one in last)
