"""The pending work of a shard, from the catalogue, the prompts, the options and the rows. It changes nothing."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from crawler.catalog import CatalogEntry, read_catalog
from samplers.assignment.sampled_rounds import rounds_to_sample
from samplers.assignment.shard_assignment import ShardAssignment, assign_shards, names_in, sampling_order
from samplers.options import SampleOptions
from samplers.outcomes import TRANSIENT, Outcome, final_status, read_outcome
from samplers.planning.chosen import chosen_generators, listed_code
from samplers.planning.cost import Cost, cost_of, with_settings
from samplers.planning.prompting import PromptPool
from samplers.planning.recipe import Recipe, require_same_seeds
from samplers.planning.reserved_prompts import require_enough
from samplers.planning.segments import Segment, images_owed, segments_of
from samplers.storage.damage import damaged_images, without_damaged_parts
from samplers.storage.progress import GeneratorProgress, progress_of
from samplers.storage.segment_progress import images_left, is_finished, progress_by_segment
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.removed import read_removals
from workspace.shard import Shard


@dataclass(frozen=True)
class PendingGenerator:
    """One generator of the shard that still needs images."""

    entry: CatalogEntry
    progress: GeneratorProgress
    previous: Outcome | None
    """How sampling this revision ended the last time; None before the first time."""
    cost: Cost
    segments: tuple[Segment, ...]
    """The samples that the rounds ask for."""

    @cached_property
    def missing_images(self) -> int:
        """Images that are still to be sampled and kept."""
        return sum(images_left(progress_by_segment(self.progress, self.segments)))

    @property
    def seconds(self) -> float:
        """Estimated seconds on the nominal device (samplers/planning/cost.py) until it is finished."""
        return self.cost.seconds(self.missing_images)


@dataclass(frozen=True)
class PendingWork:
    """What a run of this shard would do."""

    recipe: Recipe
    """Of the newest round that is sampled."""
    prompts: Mapping[int, PromptPool]
    """Of each round up to that."""
    generators: list[PendingGenerator]
    """Those to sample, in this order."""
    finished: int
    """Generators that are finished."""
    skipped: dict[str, str]
    """Generators that need images but are not sampled, and why."""
    unrecorded: list[Outcome]
    """Outcomes of finished generators that an interruption kept from being written."""
    leftovers: list[Path]
    """Journals of finished generators that an interruption kept from being removed."""
    costs: dict[str, Cost]
    """Of every generator of all shards, by name."""
    assignment: ShardAssignment
    """Which shard samples which generators, finished or not."""
    entries: Mapping[str, CatalogEntry]
    """Every generator of all shards, by name."""
    segments: Mapping[str, tuple[Segment, ...]]
    """Of these."""
    begun: frozenset[str]
    """Those that have rows or an outcome."""
    own: frozenset[str]
    """Those of this shard, finished or not."""
    notes: Sequence[str] = ()
    """What the user should know before it is sampled."""


def find_pending(
    workspace: Workspace, options: SampleOptions, *, dry_run: bool = False, prompts: Path | None = None
) -> PendingWork:
    """The pending work of the shard `options.shard`; `prompts`: a file with all prompts, to be mapped.

    `dry_run`: only to say what it would be, so before captioning too, and without asking the Hub for a first run.

    Raises `UsageError` without a catalogue, for a workspace of another version, for text-to-image generators without
    prompts, while captioning has not ended, where options name what does not exist, and as `require_enough`; `HubError`
    where the Hub does not give the commit of `options.safety_checker`.
    """
    require_same_seeds(workspace)
    removals = read_removals(workspace)
    catalog = [
        entry for entry in read_catalog(workspace) if removals.generator(entry.model_name, entry.revision) is None
    ]
    chosen, notes = chosen_generators(catalog, options, removals)
    rounds = rounds_to_sample(workspace, options, catalog, chosen, removals, dry_run=dry_run, mapped=prompts)
    recipe, notes = rounds.recipe, [*notes, *rounds.notes]
    segments = {entry.generator: segments_of(entry, rounds.recipes) for entry in chosen}
    chosen = [entry for entry in chosen if segments[entry.generator]]
    costs = {entry.generator: _cost(entry, segments[entry.generator][-1]) for entry in chosen}
    seconds = {name: cost.seconds(images_owed(segments[name])) for name, cost in costs.items()}
    shard = Shard.parse(options.shard)
    assignment = assign_shards(seconds, (shard.within or shard).count)
    own = names_in(shard, assignment, seconds)
    share = sampling_order(entry for entry in chosen if entry.generator in own)
    if recipe.prompts is None and not dry_run and any(entry.task == "text-to-image" for entry in share):
        raise UsageError(f"{workspace.prompts} holds no prompts: run `cf-caption` first")
    notes += require_enough(chosen, rounds.prompts[recipe.round], recipe)
    generators, skipped, finished = [], {}, 0
    unrecorded: list[Outcome] = []
    leftovers: list[Path] = []
    begun = workspace.begun()
    for entry in share:
        progress, previous = _look(workspace, entry) if entry.generator in begun else (GeneratorProgress(), None)
        generator = PendingGenerator(entry, progress, previous, costs[entry.generator], segments[entry.generator])
        if _is_finished(workspace, generator, options):
            finished += 1
            leftovers += {*progress.leftovers, *(journal.path for journal in progress.journals)}
            if previous is None or previous.failed or previous.round < generator.segments[-1].recipe.round:
                unrecorded.append(_outcome_of_rows(generator))
            continue
        reason = _reason_to_skip(entry, progress, previous, options)
        if reason is not None:
            skipped[entry.generator] = reason
        else:
            generators.append(generator)
    return PendingWork(
        recipe=recipe,
        prompts=rounds.prompts,
        generators=generators,
        finished=finished,
        skipped=skipped,
        unrecorded=unrecorded,
        leftovers=leftovers,
        costs=costs,
        assignment=assignment,
        entries={entry.generator: entry for entry in chosen},
        segments={entry.generator: segments[entry.generator] for entry in chosen},
        begun=begun,
        own=own,
        notes=notes,
    )


def _cost(entry: CatalogEntry, segment: Segment) -> Cost:
    """The cost of a generator with the settings of a segment."""
    return cost_of(with_settings(entry, segment.settings), batch_size=segment.recipe.batch_size)


def fresh_look(workspace: Workspace, generator: PendingGenerator, options: SampleOptions) -> PendingGenerator | None:
    """A generator as it is now; None: another process finished it, or recorded that it fails."""
    if workspace.remote is not None:
        workspace.remote.bring(generator.entry.generator)
    progress, previous = _look(workspace, generator.entry)
    generator = replace(generator, progress=progress)
    if _is_finished(workspace, generator, options):
        return None
    if previous != generator.previous and _reason_to_skip(generator.entry, progress, previous, options) is not None:
        return None
    return replace(generator, previous=previous)


def to_help_with(
    workspace: Workspace, pending: PendingWork, options: SampleOptions, name: str
) -> PendingGenerator | None:
    """A generator of any shard as it is now; None: it is finished, failed, or is skipped."""
    entry = pending.entries[name]
    if workspace.remote is not None:
        workspace.remote.bring(name)
    progress, previous = _look(workspace, entry)
    generator = PendingGenerator(entry, progress, previous, pending.costs[name], pending.segments[name])
    if (previous is not None and previous.failed) or _is_finished(workspace, generator, options):
        return None
    return generator if _reason_to_skip(entry, progress, previous, options) is None else None


def _look(workspace: Workspace, entry: CatalogEntry) -> tuple[GeneratorProgress, Outcome | None]:
    """What is stored of a generator, and how sampling this revision ended."""
    previous = read_outcome(workspace, entry.generator)
    if previous is not None and previous.revision != entry.revision:
        previous = None
    return progress_of(workspace, entry.generator), previous


def _is_finished(workspace: Workspace, generator: PendingGenerator, options: SampleOptions) -> bool:
    """Whether nothing of a generator is missing or damaged."""
    entry, progress = generator.entry, generator.progress
    if progress.revision not in (None, entry.revision) or not is_finished(progress, generator.segments):
        return False
    read_after = 0.0
    if options.verify == "quick":
        # Nothing is written after the outcome, unless somebody changes it.
        with suppress(FileNotFoundError):
            read_after = workspace.outcome_of(entry.generator).stat().st_mtime
    if without_damaged_parts(progress, read_after).damaged:
        return False
    return not damaged_images(workspace, entry.generator, progress, generator.segments[0].recipe.store, read_after)


def _reason_to_skip(
    entry: CatalogEntry, progress: GeneratorProgress, previous: Outcome | None, options: SampleOptions
) -> str | None:
    """Why a generator that needs images is not sampled; None where it is."""
    if progress.revision not in (None, entry.revision):
        return "its images are of another revision than the catalogue's; sample that one in another --workspace"
    if (code := listed_code(entry)) is not None:
        return code
    if previous is not None and previous.failed and previous.status not in TRANSIENT and not options.retry_failed:
        return f"{previous.status} before (--retry-failed samples it again): {previous.detail}"
    return None


def _outcome_of_rows(generator: PendingGenerator) -> Outcome:
    """The outcome of a finished generator, as far as its rows tell."""
    entry, kept, tries = generator.entry, len(generator.progress.kept), generator.progress.tries
    status, detail = final_status(kept, images_owed(generator.segments), tries)
    return Outcome(
        model_name=entry.model_name,
        revision=entry.revision,
        further_revision=entry.further_revision,
        round=generator.segments[-1].recipe.round,
        status=status,
        detail=detail,
        kept=kept,
        tries=tries,
    )
