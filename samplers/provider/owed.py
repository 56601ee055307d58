"""What is owed of remote generators: their rows, plans and ledgers, by the same rounds and prompts as of all others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from crawler.adding import add
from crawler.catalog import CatalogEntry, read_catalog
from samplers.assignment.sampled_rounds import SampledRounds, rounds_to_sample
from samplers.options import SampleOptions
from samplers.planning.plan import Plan, PlannedSample, plans_of
from samplers.planning.recipe import BY_ROUND, require_same_seeds
from samplers.planning.segments import Segment, images_owed, segments_of
from samplers.provider.ledger import Ledger, Spent
from samplers.provider.recipes import RemoteGenerator
from samplers.storage.progress import progress_of
from samplers.storage.segment_progress import images_left, progress_by_segment
from workspace import recipe as recipes
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.removed import read_removals


@dataclass(frozen=True)
class Owed:
    """One remote generator, and what is asked of it."""

    generator: RemoteGenerator
    entry: CatalogEntry
    segments: tuple[Segment, ...]
    plans: tuple[Plan, ...]
    """Of the segments; none where prompts are missing, in a forecast."""

    @property
    def name(self) -> str:
        """Its name in the workspace."""
        return self.entry.generator

    @property
    def price(self) -> float:
        """US dollars for an image; 0 where it is not known."""
        return self.generator.price or 0.0

    @property
    def images(self) -> int:
        """Distinct images that it should have."""
        return images_owed(self.segments)

    def missing(self, workspace: Workspace) -> int:
        """Of these: those that are still to be delivered."""
        return sum(images_left(progress_by_segment(progress_of(workspace, self.name), self.segments)))

    def plan_of(self, index: int) -> Plan:
        """The plan that has a sample."""
        return next(plan for plan in self.plans if plan.first <= index < plan.stop)

    def sample(self, index: int) -> PlannedSample:
        """A sample of it."""
        return self.plan_of(index).sample(index)


def added(
    workspace: Workspace, generators: Sequence[RemoteGenerator], options: SampleOptions
) -> tuple[list[Owed], SampledRounds]:
    """The generators with their rows in the catalogue and the recipe of the workspace written.

    Raises `UsageError` as `crawler.adding.add` and `samplers.assignment.sampled_rounds.rounds_to_sample`.
    """
    require_same_seeds(workspace)
    rows = add(workspace, [one.entry for one in generators], update=options.update).entries
    rounds = _rounds(workspace, rows, options)
    recipes.pin(workspace, "sample", rounds.recipe.table(), options.update, by_round=BY_ROUND)
    return [_owed(*both, rounds) for both in zip(generators, rows, strict=True)], rounds


def foreseen(
    workspace: Workspace, generators: Sequence[RemoteGenerator], options: SampleOptions
) -> tuple[list[Owed], SampledRounds]:
    """The same without writing anything, and before captioning too. Raises `UsageError` as `added`."""
    require_same_seeds(workspace)
    known = read_catalog(workspace) if workspace.catalog.exists() else []
    newest = recipes.rounds(workspace)[-1]
    number = newest.number if newest.is_open else newest.number + 1
    rows = []
    for one in generators:
        entry = one.entry
        same = [row for row in known if (row.model_name, row.revision) == (entry.model_name, entry.revision)]
        rows.append(same[-1] if same else replace(entry, round=number if options.update else newest.number))
    rounds = _rounds(workspace, rows, options, dry_run=True)
    return [_owed(*both, rounds) for both in zip(generators, rows, strict=True)], rounds


def spent_of(workspace: Workspace, owed: Sequence[Owed]) -> Spent:
    """What these generators cost so far."""
    return sum((Ledger(workspace.requests_of(one.name)).spent for one in owed), Spent())


def _rounds(
    workspace: Workspace, rows: Sequence[CatalogEntry], options: SampleOptions, *, dry_run: bool = False
) -> SampledRounds:
    catalog = read_catalog(workspace) if workspace.catalog.exists() else []
    names = {row.generator for row in rows}
    catalog = [*(row for row in catalog if row.generator not in names), *rows]
    return rounds_to_sample(workspace, options, catalog, rows, read_removals(workspace), dry_run=dry_run)


def _owed(generator: RemoteGenerator, entry: CatalogEntry, rounds: SampledRounds) -> Owed:
    segments = segments_of(entry, rounds.recipes)
    if not segments:
        raise UsageError(
            f"{entry.generator} is of round {entry.round}, and no round that is sampled asks for images of it: add "
            "--update"
        )
    has_prompts = all(rounds.prompts[one.recipe.round].size for one in segments)
    plans = tuple(plans_of(entry, segments, rounds.prompts)) if has_prompts else ()
    return Owed(generator, entry, segments, plans)
