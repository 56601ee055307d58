"""What each round of the recipe added: generators, prompts, and images that it asks for and has.

Of a generator with images of one round, the outcome says how many; of others the rows are read. So it takes longer than
the rest of the status, and is looked at on demand.
"""

from collections import Counter
from dataclasses import dataclass

from captioning.prompt import Prompt, prompt_parts
from crawler.catalog import CatalogEntry, read_catalog
from samplers.outcomes import read_outcome
from samplers.planning.recipe import recorded_recipes
from samplers.planning.segments import Segment, segments_of
from samplers.storage.progress import progress_of
from samplers.storage.segment_progress import progress_by_segment
from workspace import recipe, records
from workspace.errors import UsageError
from workspace.layout import Workspace


@dataclass(frozen=True, kw_only=True)
class RoundStatus:
    """What one round added."""

    round: int
    """Its number, from 1."""
    stages: tuple[str, ...]
    """The stages with settings of their own in it."""
    generators: int
    """Compatible generators that it added."""
    prompts: int
    """Prompts that it added."""
    images_owed: int | None
    """Images that it asks for; None: it was not sampled yet."""
    images: int
    """Those of them that were made and kept."""


def rounds_of(workspace: Workspace) -> tuple[RoundStatus, ...]:
    """The rounds, in order. Raises `UsageError` without a catalogue, and for a recipe that cannot be read."""
    catalogue = read_catalog(workspace)
    recipes = recorded_recipes(workspace)
    sampled = {one.round for one in recipes}
    added = Counter(entry.round for entry in catalogue if entry.status == "compatible")
    prompts: Counter[int] = Counter()
    for part in prompt_parts(workspace):
        prompts.update(records.read_table(part, Prompt, ("round",)).column("round").to_pylist())
    owed: Counter[int] = Counter()
    made: Counter[int] = Counter()
    for entry in catalogue:
        asked = segments_of(entry, recipes) if entry.status == "compatible" else ()
        owed.update(_owed(asked))
        made.update(_made(workspace, entry, asked))
    return tuple(
        RoundStatus(
            round=one.number,
            stages=tuple(one.tables),
            generators=added[one.number],
            prompts=prompts[one.number],
            images_owed=owed[one.number] if one.number in sampled else None,
            images=made[one.number],
        )
        for one in recipe.rounds(workspace)
    )


def _owed(asked: tuple[Segment, ...]) -> dict[int, int]:
    """The images that each round asks for beyond those of the rounds before."""
    return {
        segment.recipe.round: segment.images
        - max((other.images for other in asked[:number] if other.counts_with(segment)), default=0)
        for number, segment in enumerate(asked)
    }


def _made(workspace: Workspace, entry: CatalogEntry, asked: tuple[Segment, ...]) -> dict[int, int]:
    """The images of a generator by round; those of files that cannot be read are left out, as the status names them."""
    if not asked:
        return {}
    try:
        if len(asked) == 1:
            outcome = read_outcome(workspace, entry.generator)
            if outcome is not None and outcome.revision == entry.revision:
                return {asked[0].recipe.round: outcome.kept}
        states = progress_by_segment(progress_of(workspace, entry.generator), asked)
    except UsageError:
        return {}
    kept = [0, *(len(state.kept) for state in states)]
    return {
        state.segment.recipe.round: after - before for state, before, after in zip(states, kept, kept[1:], strict=False)
    }
