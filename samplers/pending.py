"""The pending work of a shard, from the catalogue, the prompts, the options and the rows. It changes nothing."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from captioning.prompt import prompt_parts, read_prompts, require_all_parts
from crawler.catalog import CatalogEntry, read_catalog
from crawler.reasons import Reason
from samplers.cost import Cost, cost_of
from samplers.options import SampleOptions
from samplers.outcomes import TRANSIENT, Outcome, final_status, read_outcome
from samplers.plan import Recipe, require_same_seeds
from samplers.prompting import PromptPool
from samplers.reservation import Reservation
from samplers.reserved_prompts import require_enough
from samplers.shard_assignment import ShardAssignment, assign_shards, sampling_order
from samplers.storage.damage import damaged_images, without_damaged_parts
from samplers.storage.progress import GeneratorProgress, progress_of
from samplers.weights.fetching import Fetcher
from workspace.errors import UsageError
from workspace.hub_access import HubAccess
from workspace.layout import Workspace
from workspace.repo_id import split_revision
from workspace.shard import Shard

_COMMIT_LENGTH = 40


@dataclass(frozen=True)
class PendingGenerator:
    """One generator of the shard that still needs images."""

    entry: CatalogEntry
    progress: GeneratorProgress
    previous: Outcome | None
    """How sampling this revision ended the last time; None before the first time."""
    cost: Cost

    def missing_images(self, recipe: Recipe) -> int:
        """Images that are still to be sampled and kept."""
        return recipe.images - len(self.progress.kept)

    def seconds(self, recipe: Recipe) -> float:
        """Estimated seconds on the nominal device (samplers/cost.py) until it is finished."""
        return self.cost.seconds(self.missing_images(recipe))


@dataclass(frozen=True)
class PendingWork:
    """What a run of this shard would do."""

    recipe: Recipe
    prompts: PromptPool
    generators: list[PendingGenerator]
    """Those to sample, in this order."""
    finished: int
    """Generators that are finished."""
    skipped: dict[str, str]
    """Generators that need images but are not sampled, and why."""
    unrecorded: list[Outcome]
    """Outcomes of finished generators that an interruption kept from being written."""
    leftovers: list[Path]
    """Folders of finished generators that an interruption kept from being removed."""
    costs: dict[str, Cost]
    """Of every generator of all shards, by name."""
    assignment: ShardAssignment
    """Which shard samples which generators, finished or not."""
    entries: Mapping[str, CatalogEntry]
    """Every generator of all shards, by name."""
    notes: Sequence[str] = ()
    """What the user should know before it is sampled."""


def find_pending(workspace: Workspace, options: SampleOptions, *, dry_run: bool = False) -> PendingWork:
    """The pending work of the shard `options.shard`.

    `dry_run`: only to say what it would be, so before captioning too, and without asking the Hub.

    Raises `UsageError` without a catalogue, for a workspace of another version, for text-to-image generators without
    prompts, while captioning has not ended, where options name what does not exist, and as `require_enough`; `HubError`
    where the Hub does not give the commit of `options.safety_checker`.
    """
    require_same_seeds(workspace)
    catalog = read_catalog(workspace)
    reservation = Reservation.named(float(options.evaluation_prompts), options.holdout, options.validation)
    reservation.holdouts.require_known(catalog)
    chosen = _chosen(catalog, options)
    costs = {
        entry.generator: cost_of(entry, steps=options.steps, batch_size=options.images_a_batch) for entry in chosen
    }
    shard = Shard.parse(options.shard)
    assignment = assign_shards({name: cost.seconds(options.images) for name, cost in costs.items()}, shard.count)
    names = set(assignment.names_of(shard.index))
    share = sampling_order(entry for entry in chosen if entry.generator in names)
    has_prompts, prompts_note = _look_for_prompts(workspace, share, dry_run)
    weights = options.source_weights if has_prompts or not dry_run else None
    prompts = PromptPool(read_prompts(workspace) if has_prompts else (), weights, reservation)
    recipe = Recipe(
        images=options.images,
        batch_size=options.images_a_batch,
        max_tries=options.tries,
        seed=options.seed,
        steps=options.steps,
        safety_checker=pinned_checker(options.safety_checker, None if dry_run else options.hub),
        prompts=prompts.digest if has_prompts else None,
        source_weights=prompts.weights if options.source_weights else None,
        store=options.store,
        allow_pickle=options.allow_pickle,
        images_per_prompt=options.images_per_prompt,
        evaluation_prompts=reservation.share,
        holdout=[str(holdout) for holdout in reservation.holdouts.test] or None,
        validation=[str(holdout) for holdout in reservation.holdouts.validation] or None,
    )
    notes = [*prompts_note, *require_enough(chosen, prompts, recipe)]
    generators, skipped, finished = [], {}, 0
    unrecorded: list[Outcome] = []
    leftovers: list[Path] = []
    for entry in share:
        progress, previous = _look(workspace, entry)
        if _is_finished(workspace, entry, progress, recipe, options):
            finished += 1
            leftovers += progress.leftovers
            if previous is None or previous.failed:
                unrecorded.append(_outcome_of_rows(entry, progress, recipe))
            continue
        reason = _reason_to_skip(entry, progress, previous, options)
        if reason is not None:
            skipped[entry.generator] = reason
        else:
            generators.append(PendingGenerator(entry, progress, previous, costs[entry.generator]))
    return PendingWork(
        recipe=recipe,
        prompts=prompts,
        generators=generators,
        finished=finished,
        skipped=skipped,
        unrecorded=unrecorded,
        leftovers=leftovers,
        costs=costs,
        assignment=assignment,
        entries={entry.generator: entry for entry in chosen},
        notes=notes,
    )


def fresh_look(
    workspace: Workspace, generator: PendingGenerator, recipe: Recipe, options: SampleOptions
) -> PendingGenerator | None:
    """A generator as it is now; None: another process finished it, or recorded that it fails."""
    progress, previous = _look(workspace, generator.entry)
    if _is_finished(workspace, generator.entry, progress, recipe, options):
        return None
    if previous != generator.previous and _reason_to_skip(generator.entry, progress, previous, options) is not None:
        return None
    return replace(generator, progress=progress, previous=previous)


def _look_for_prompts(workspace: Workspace, share: Sequence[CatalogEntry], dry_run: bool) -> tuple[bool, list[str]]:
    """Whether there are prompts to draw from; in a dry run, what is missing is a line."""
    try:
        require_all_parts(workspace)
        if not prompt_parts(workspace) and any(entry.task == "text-to-image" for entry in share):
            raise UsageError(f"{workspace.prompts} holds no prompts: run `cf-caption` first")
    except UsageError as error:
        if not dry_run:
            raise
        return False, [str(error)]
    return bool(prompt_parts(workspace)), []


def _look(workspace: Workspace, entry: CatalogEntry) -> tuple[GeneratorProgress, Outcome | None]:
    """What is stored of a generator, and how sampling this revision ended."""
    previous = read_outcome(workspace, entry.generator)
    if previous is not None and previous.revision != entry.revision:
        previous = None
    return progress_of(workspace, entry.generator), previous


def _is_finished(
    workspace: Workspace, entry: CatalogEntry, progress: GeneratorProgress, recipe: Recipe, options: SampleOptions
) -> bool:
    """Whether nothing of a generator is missing or damaged."""
    if progress.revision not in (None, entry.revision) or not progress.finished(recipe):
        return False
    read_after = 0.0
    if options.verify == "quick":
        # Nothing is written after the outcome, unless somebody changes it.
        with suppress(FileNotFoundError):
            read_after = workspace.outcome_of(entry.generator).stat().st_mtime
    if without_damaged_parts(progress, read_after).damaged:
        return False
    return not damaged_images(workspace, entry.generator, progress, recipe.store, read_after)


def _chosen(catalog: Sequence[CatalogEntry], options: SampleOptions) -> list[CatalogEntry]:
    """The generators that can be sampled and are wanted, by rank."""
    by_name = {entry.model_name: entry for entry in catalog}
    for model_name in options.only:
        entry = by_name.get(model_name)
        if entry is None:
            raise UsageError(f"--only {model_name}: the catalogue has no such generator; crawl it with `cf-crawl`")
        if not _can_be_sampled(entry, options.allow_pickle):
            hint = "; --allow-pickle samples it" if _can_be_sampled(entry, allow_pickle=True) else ""
            raise UsageError(f"--only {model_name}: it cannot be sampled ({entry.reason}: {entry.reason_detail}){hint}")
    chosen = [
        entry
        for entry in sorted(catalog, key=lambda entry: (entry.rank, entry.model_name))
        if _can_be_sampled(entry, options.allow_pickle) and (not options.only or entry.model_name in options.only)
    ]
    return chosen[: options.limit]


def _can_be_sampled(entry: CatalogEntry, allow_pickle: bool) -> bool:
    """Compatible, or with pickled weights of its own or of its base model where these are allowed: the crawl lists the
    files of one that has no other problem."""
    pickled = entry.reason == Reason.PICKLE_ONLY and bool(entry.files) and entry.task is not None
    complete = entry.kind == "checkpoint" or bool(entry.base_files)
    return entry.status == "compatible" or (allow_pickle and pickled and complete)


def _reason_to_skip(
    entry: CatalogEntry, progress: GeneratorProgress, previous: Outcome | None, options: SampleOptions
) -> str | None:
    """Why a generator that needs images is not sampled; None where it is."""
    if progress.revision not in (None, entry.revision):
        return "its images are of another revision than the catalogue's; sample that one in another --workspace"
    code = next((file.path for file in entry.all_files if file.path.endswith(".py")), None)
    if code is not None:
        # No crawl lists such a file.
        return f"the catalogue lists a file of code, {code}: code is never downloaded; crawl again with `cf-crawl`"
    if previous is not None and previous.failed and previous.status not in TRANSIENT and not options.retry_failed:
        return f"{previous.status} before (--retry-failed samples it again): {previous.detail}"
    return None


def _outcome_of_rows(entry: CatalogEntry, progress: GeneratorProgress, recipe: Recipe) -> Outcome:
    """The outcome of a finished generator, as far as its rows tell."""
    kept, tries = len(progress.kept), progress.next_index
    status, detail = final_status(kept, recipe.images, tries)
    return Outcome(
        model_name=entry.model_name,
        revision=entry.revision,
        further_revision=entry.further_revision,
        status=status,
        detail=detail,
        kept=kept,
        tries=tries,
    )


def pinned_checker(checker: str, hub: HubAccess | None) -> str:
    """The checker as repository@commit; the Hub is asked where `checker` names no commit (None: it stays as it is)."""
    try:
        repo_id, revision = split_revision(checker)
    except UsageError as error:
        raise UsageError(f"--safety-checker: {error}") from error
    if hub is None or (revision is not None and len(revision) == _COMMIT_LENGTH):
        return checker
    commit, _ = Fetcher(hub).listing(repo_id, revision)
    return f"{repo_id}@{commit}"
