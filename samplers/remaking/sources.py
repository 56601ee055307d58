"""What a row was made from, as the workspace has it: its generator in the catalogue, and its plan and batch.

The plan follows from the catalogue, the prompts and the recipe, which must be those with which the workspace was
sampled. A row of another workspace, version or revision has other sources: it is told so, and nothing is sampled.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from captioning.prompt_table import PromptTable
from crawler.catalog import CatalogEntry, read_catalog
from samplers.planning.chosen import can_be_sampled, listed_code
from samplers.planning.plan import Plan, PlannedSample, plans_of
from samplers.planning.recipe import Recipe, recorded_recipes
from samplers.planning.round_prompts import pool_of, pools_of
from samplers.planning.segments import Segment, segments_of
from samplers.remaking.naming import NamedRow
from samplers.remaking.sampled_rows import SampledRows
from samplers.sample import Memory
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.removed import read_removals
from workspace.roots import read_places

#: Threads that no machine has more of: a table may hold any number, and as many would be started.
_MOST_THREADS = 4096
#: Digits of a commit that a message shows.
_DIGITS = 12


class UnknownSourceError(Exception):
    """The workspace does not have what a row was made from; the message says what is missing, and what to do."""


@dataclass(frozen=True)
class Sourced:
    """A row with everything that it is made from."""

    given: str
    entry: CatalogEntry
    segment: Segment
    """The one that the sample is of."""
    plan: Plan
    """That of the segment."""
    batch: tuple[PlannedSample, ...]
    """Its neighbours, and itself."""
    index: int
    expected: Mapping[str, Any]
    """What is known of it, by the columns of a sample."""
    stored_sha256: str | None
    """That of its row in the workspace."""
    call_size: int
    """Images of one pipeline call."""
    memory: Memory | None
    """How memory was saved."""
    cpu_threads: int | None
    """Threads of a CPU that computed it; None: unknown, or a GPU did."""


class Sources:
    """The catalogue, the prompts and the recipe of a workspace that was sampled, and its rows."""

    def __init__(self, workspace: Workspace) -> None:
        """Raises `UsageError` where one of them is missing, or is not that of the samples."""
        if not workspace.catalog.exists():
            raise UsageError(
                f"{workspace.catalog} does not exist: images are made again in the workspace that sampled them, from "
                "its catalogue, prompts and recipe; name it with --workspace"
            )
        self._catalog = read_catalog(workspace)
        self._recipes = recorded_recipes(workspace)
        if not self._recipes:
            raise UsageError(
                f"{workspace.recipe} has no table [sample]: images are made again in the workspace that sampled them; "
                "name it with --workspace"
            )
        self.recipe = self._recipes[-1]
        prompts = PromptTable.read(workspace)
        newest = pool_of(self.recipe.round, prompts, self.recipe)
        if self.recipe.prompts != newest.digest:
            raise UsageError(
                f"{workspace.prompts} does not hold the prompts that the images were sampled with, so they cannot be "
                "made again: restore it from a copy"
            )
        self._pools = pools_of(self._recipes, prompts, newest)
        self.rows = SampledRows(workspace)
        self.places = read_places(workspace)
        self._removals = read_removals(workspace)
        self._plans: dict[str, Sequence[tuple[Segment, Plan]]] = {}

    def find(self, named: Sequence[NamedRow]) -> Iterator[Sourced | str]:
        """Each row with its sources, or what is missing, in words."""
        hashes = {str(row.columns["sha256"]) for row in named if row.index is None}
        names = [row.generators for row in named if row.index is None]
        within = None if () in names else {name.partition("@")[0] for each in names for name in each}
        generators = [entry.generator for entry in self._catalog if within is None or entry.model_name in within]
        places = self.rows.by_sha256(hashes, generators) if hashes else {}
        for row in named:
            try:
                yield self._sourced(row, places)
            except UnknownSourceError as error:
                yield str(error)

    def _sourced(self, named: NamedRow, places: Mapping[str, tuple[str, int]]) -> Sourced:
        index = named.index
        if index is None:
            place = places.get(str(named.columns["sha256"]))
            if place is None:
                raise UnknownSourceError("no row of samples/ has this sha256: name another --workspace")
            entry, index = self._entry_of((place[0],), by_folder=True), place[1]
        else:
            entry = self._entry_of(named.generators, by_folder=not named.is_table)
        segment, plan = self._plan_with(entry, index)
        batch = next(plan.batches(index, index + 1))
        stored = self.rows.of(entry.generator)
        of_batch = [row for one in batch if (row := stored.get(one.index)) and row["revision"] == entry.revision]
        own = next((row for row in of_batch if row["index"] == index), {})
        if own and entry.task == "text-to-image" and own["prompt"] is None:
            raise UnknownSourceError("its prompt was removed with the real image that it described (`cf-remove`)")
        given = {name: value for name, value in named.columns.items() if value is not None or not own}
        expected = {**own, **given}
        for name, now in (("seed", plan.sample(index).seed), ("batch_size", plan.batch_size)):
            if (was := expected.get(name)) not in (None, now):
                raise UnknownSourceError(
                    f"its {name} is {was}, and by this workspace's recipe it is {now}: the row is not of this workspace"
                )
        _require_possible(expected)
        known = of_batch if own and not _differs(own, given) else [{**expected, "index": index}]
        return Sourced(
            given=named.given,
            entry=entry,
            segment=segment,
            plan=plan,
            batch=batch,
            index=index,
            expected=expected,
            stored_sha256=own.get("sha256"),
            call_size=call_size_of(known, batch, plan.batch_size),
            memory=next((row["memory"] for row in known if row.get("memory") is not None), None),
            cpu_threads=expected.get("cpu_threads"),
        )

    def _entry_of(self, names: Sequence[str], by_folder: bool) -> CatalogEntry:
        """The generator of one of these names; `by_folder`: where several revisions are in the workspace, a name
        without one is that of the first."""
        found = ""
        for text in names:
            name, _, revision = text.partition("@")
            if (removed := self._removals.generator(name, revision or None)) is not None:
                raise UnknownSourceError(f"{name} was removed from this workspace ({removed.why})")
            entries = [entry for entry in self._catalog if entry.model_name == name]
            matching = [entry for entry in entries if entry.revision.startswith(revision)]
            if not revision and by_folder:
                matching = [entry for entry in matching if entry.generator == name] or matching
            if len(matching) == 1:
                return _usable(matching[0], self._recipes)
            if entries and not found:
                at = ", ".join(sorted(entry.revision[:_DIGITS] for entry in entries))
                found = (
                    f"the catalogue has {name} at {at}, not at {revision[:_DIGITS]}: other weights give other images; "
                    "name the workspace that has that revision"
                    if not matching
                    else f"the catalogue has several revisions of {name} ({at}): name one, as {name}@REVISION#NUMBER, "
                    "or in the column revision"
                )
        raise UnknownSourceError(
            found or f"the catalogue has no generator {names[0]}: name the workspace that sampled it"
        )

    def _plan_with(self, entry: CatalogEntry, index: int) -> tuple[Segment, Plan]:
        """The segment that contains a sample of a generator, and its plan."""
        if entry.generator not in self._plans:
            segments = segments_of(entry, self._recipes)
            self._plans[entry.generator] = list(zip(segments, plans_of(entry, segments, self._pools), strict=True))
        plans = self._plans[entry.generator]
        for segment, plan in plans:
            if segment.first <= index < segment.stop:
                return segment, plan
        last = max((segment.stop for segment, _ in plans), default=0) - 1
        raise UnknownSourceError(f"the plan of {entry.generator} has no sample {index}: its last one is {last}")


def call_size_of(rows: Iterable[Mapping[str, Any]], batch: Sequence[PlannedSample], batch_size: int) -> int:
    """Images of one pipeline call, in calls of which these rows of a batch were made.

    A row has the size of its own call; the last call of a batch may be smaller. Where memory is short, calls are halved
    (`samplers.child.calling`), so halves of the batch are tried first.
    """
    first = batch[0].index
    calls: list[tuple[int, int]] = [
        (row["index"] - first, row["call_size"]) for row in rows if row.get("call_size") is not None
    ]
    halves = [batch_size]
    while halves[-1] > 1:
        halves.append(halves[-1] // 2)
    for size in (*halves, *sorted({size for _, size in calls})):
        if all(min(size, len(batch) - (place - place % size)) == found for place, found in calls):
            return size
    return batch_size


def _differs(stored: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Whether a row is said to be made in other calls than the workspace's."""
    return any(given.get(name, stored[name]) != stored[name] for name in ("call_size", "memory"))


def _require_possible(expected: Mapping[str, Any]) -> None:
    """Raise `UnknownSourceError` for a row of a table that says how it was made, and no row is made so."""
    for name, largest in (("call_size", 1 << 20), ("cpu_threads", _MOST_THREADS)):
        number = expected.get(name)
        if number is not None and not 1 <= number <= largest:
            raise UnknownSourceError(f"its {name} is {number}, which none is")
    if (memory := expected.get("memory")) not in (None, *get_args(Memory)):
        raise UnknownSourceError(f"its memory is {memory!r}, which is none of {', '.join(get_args(Memory))}")


def _usable(entry: CatalogEntry, recipes: Sequence[Recipe]) -> CatalogEntry:
    if not any(can_be_sampled(entry, recipe.allow_pickle) for recipe in recipes):
        raise UnknownSourceError(f"{entry.generator} cannot be sampled ({entry.reason}: {entry.reason_detail})")
    if (code := listed_code(entry)) is not None:
        raise UnknownSourceError(code)
    return entry
