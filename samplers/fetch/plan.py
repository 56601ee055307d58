"""What is to be fetched: the generators that are left to sample, in the order in which they will be."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from crawler.catalog import CatalogEntry
from samplers.assignment.pending import PendingGenerator, PendingWork, find_pending
from samplers.assignment.shard_assignment import assign_shards
from samplers.fetch.options import FetchOptions
from samplers.options import SampleOptions
from samplers.planning.recipe import recorded_recipes
from samplers.planning.segments import images_owed
from samplers.weights.fetching import FetchError, content_key
from workspace.layout import Workspace
from workspace.shard import Shard
from workspace.size import text_of


@dataclass(frozen=True)
class FetchPlan:
    """What one `cf-fetch` has to do."""

    sampling: SampleOptions
    """The options by which that was found."""
    pending: PendingWork
    """The work of all shards."""
    share: Sequence[PendingGenerator]
    """The generators to fetch, in this order: those of the shard that are left to sample."""

    @property
    def checker(self) -> str:
        """The safety checker: ORG/NAME@REVISION."""
        return self.pending.recipe.safety_checker

    @property
    def over(self) -> list[CatalogEntry]:
        """Generators of all shards that need no files any more."""
        left = {one.entry.generator for one in self.pending.generators}
        return [entry for name, entry in self.pending.entries.items() if name not in left]

    def contents(self) -> dict[str, int]:
        """The contents to fetch, with their bytes."""
        found: dict[str, int] = {}
        for file in (file for one in self.share for file in one.entry.all_files):
            with suppress(FetchError):  # one that cannot be downloaded fails when its turn comes
                found[content_key(file)] = file.size
        return found


def plan_fetch(workspace: Workspace, options: FetchOptions) -> FetchPlan:
    """Find what is left to sample, by the recipe of the workspace where it was sampled before. Raises `UsageError` as
    `find_pending`."""
    recipe = {key: value for one in recorded_recipes(workspace)[-1:] for key, value in vars(one).items()}
    sampling = replace(options.sampling(recipe), shard="1/1")
    pending = find_pending(workspace, sampling, dry_run=True)
    shard = Shard.parse(options.shard)
    # As `cf-sample` divides them, so that a shard of one has the generators of a shard of the other.
    seconds = {name: pending.costs[name].seconds(images_owed(pending.segments[name])) for name in pending.entries}
    names = set(assign_shards(seconds, shard.count).names_of(shard.index))
    share = [one for one in pending.generators if one.entry.generator in names]
    return FetchPlan(sampling, pending, share)


def plan_lines(plan: FetchPlan, options: FetchOptions, stored: set[str]) -> list[str]:
    """The plan for people; `stored` are the contents that are there."""
    contents = plan.contents()
    missing = {key: size for key, size in contents.items() if key not in stored}
    lines = [
        *plan.pending.notes,
        f"generators to fetch: {len(plan.share)} (shard {options.shard}; {len(plan.pending.generators)} in all shards, "
        f"{plan.pending.finished} finished, {len(plan.pending.skipped)} skipped)",
        f"to download: {text_of(sum(missing.values()))} of {text_of(sum(contents.values()))}, and the safety checker "
        f"{plan.checker}",
    ]
    largest = max(plan.share, key=lambda one: one.entry.download_bytes, default=None)
    if largest is not None:
        lines.append(f"largest: {largest.entry.generator}, {text_of(largest.entry.download_bytes)}")
        lines.append(f"first: {', '.join(one.entry.generator for one in plan.share[:5])}")
    if options.disk_bytes is not None and sum(contents.values()) > options.disk_bytes:
        lines.append(f"--max-disk {text_of(options.disk_bytes)} is less: it waits until samplers finish generators")
    return lines
