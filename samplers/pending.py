"""The pending work of a shard, from the catalogue, the prompts, the options and the rows. It changes nothing."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from captioning.prompt import prompt_parts, require_all_parts
from captioning.removed_prompts import Place, prompt_places
from crawler.catalog import CatalogEntry, read_catalog
from crawler.choice import Choice, line_of
from crawler.generator_names import named_by
from crawler.reasons import Reason
from samplers.cost import Cost, cost_of
from samplers.options import SampleOptions
from samplers.outcomes import TRANSIENT, Outcome, final_status, read_outcome
from samplers.prompting import PromptPool
from samplers.recipe import BY_ROUND, Recipe, recorded_recipes, require_one_kind
from samplers.reservation import Reservation
from samplers.reserved_prompts import require_enough
from samplers.round_prompts import pool_of, pools_of
from samplers.segments import Segment, images_owed, segments_of
from samplers.shard_assignment import ShardAssignment, assign_shards, sampling_order
from samplers.storage.damage import damaged_images, without_damaged_parts
from samplers.storage.progress import GeneratorProgress, progress_of
from samplers.storage.segment_progress import is_finished, missing_images
from samplers.weights.fetching import Fetcher
from workspace import recipe as recipes_file
from workspace.errors import UsageError
from workspace.hub_access import HubAccess
from workspace.layout import Workspace
from workspace.removed import Removals, read_removals
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
    segments: tuple[Segment, ...]
    """The samples that the rounds ask for."""

    @property
    def missing_images(self) -> int:
        """Images that are still to be sampled and kept."""
        return missing_images(self.progress, self.segments)

    @property
    def seconds(self) -> float:
        """Estimated seconds on the nominal device (samplers/cost.py) until it is finished."""
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
    """Folders of finished generators that an interruption kept from being removed."""
    costs: dict[str, Cost]
    """Of every generator of all shards, by name."""
    assignment: ShardAssignment
    """Which shard samples which generators, finished or not."""
    entries: Mapping[str, CatalogEntry]
    """Every generator of all shards, by name."""
    segments: Mapping[str, tuple[Segment, ...]]
    """Of these."""
    notes: Sequence[str] = ()
    """What the user should know before it is sampled."""


def find_pending(workspace: Workspace, options: SampleOptions, *, dry_run: bool = False) -> PendingWork:
    """The pending work of the shard `options.shard`.

    `dry_run`: only to say what it would be, so before captioning too, and without asking the Hub for a first run.

    Raises `UsageError` without a catalogue, for a workspace of another version, for text-to-image generators without
    prompts, while captioning has not ended, where options name what does not exist, and as `require_enough`; `HubError`
    where the Hub does not give the commit of `options.safety_checker`.
    """
    former = recorded_recipes(workspace)
    removals = read_removals(workspace)
    catalog = [
        entry for entry in read_catalog(workspace) if removals.generator(entry.model_name, entry.revision) is None
    ]
    held = map(removals.hidden, options.holdout), map(removals.hidden, options.validation)
    reservation = Reservation.named(float(options.evaluation_prompts), *held)
    reservation.holdouts.require_known(catalog)
    chosen, notes = _chosen(catalog, options, removals)
    user_settings = options.user_settings
    known = {name for one in former for name in one.settings or {}}
    known |= {name for name in user_settings.named if removals.generator(name) is not None}
    notes += user_settings.check(catalog, chosen, known)
    if dry_run and (missing := _missing_prompts(workspace, chosen)) is not None:
        has_prompts, options = False, replace(options, source_weights={})
        notes.append(missing)
    else:
        require_all_parts(workspace)
        has_prompts = bool(prompt_parts(workspace))
    recipe = Recipe(
        images=options.images,
        batch_size=options.images_a_batch,
        max_tries=options.tries,
        seed=options.seed,
        steps=options.steps,
        safety_checker=pinned_checker(options.safety_checker, None if dry_run and not former else options.hub),
        prompts=None,
        source_weights=None,
        store=options.store,
        allow_pickle=options.allow_pickle,
        images_per_prompt=options.images_per_prompt,
        evaluation_prompts=reservation.share,
        holdout=[str(holdout) for holdout in reservation.holdouts.test] or None,
        validation=[str(holdout) for holdout in reservation.holdouts.validation] or None,
        guidance_scale=options.guidance_scale,
        width=options.width,
        height=options.height,
        negative_prompt=options.negative_prompt,
        scheduler=options.scheduler,
        settings={name: dict(values) for name, values in user_settings.named.items()} or None,
    )
    prompts = prompt_places(workspace) if has_prompts else []
    recipe, newest = _of_round(workspace, recipe, prompts, options)
    recipes = (*(one for one in former if one.round < recipe.round), recipe)
    for one in recipes[:-1]:
        require_one_kind(one, recipe)
    pools = pools_of(recipes, prompts, newest)
    segments = {entry.generator: segments_of(entry, recipes) for entry in chosen}
    chosen = [entry for entry in chosen if segments[entry.generator]]
    costs = {entry.generator: _cost(entry, segments[entry.generator][-1]) for entry in chosen}
    shard = Shard.parse(options.shard)
    seconds = {name: cost.seconds(images_owed(segments[name])) for name, cost in costs.items()}
    assignment = assign_shards(seconds, shard.count)
    names = set(assignment.names_of(shard.index))
    share = sampling_order(entry for entry in chosen if entry.generator in names)
    if not has_prompts and not dry_run and any(entry.task == "text-to-image" for entry in share):
        raise UsageError(f"{workspace.prompts} holds no prompts: run `cf-caption` first")
    notes += require_enough(chosen, pools[recipe.round], recipe)
    generators, skipped, finished = [], {}, 0
    unrecorded: list[Outcome] = []
    leftovers: list[Path] = []
    for entry in share:
        progress, previous = _look(workspace, entry)
        generator = PendingGenerator(entry, progress, previous, costs[entry.generator], segments[entry.generator])
        if _is_finished(workspace, generator, options):
            finished += 1
            leftovers += progress.leftovers
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
        prompts=pools,
        generators=generators,
        finished=finished,
        skipped=skipped,
        unrecorded=unrecorded,
        leftovers=leftovers,
        costs=costs,
        assignment=assignment,
        entries={entry.generator: entry for entry in chosen},
        segments={entry.generator: segments[entry.generator] for entry in chosen},
        notes=notes,
    )


def _missing_prompts(workspace: Workspace, chosen: Sequence[CatalogEntry]) -> str | None:
    """What captioning has not made yet; None: nothing, or nobody needs prompts."""
    try:
        require_all_parts(workspace)
    except UsageError as error:
        return str(error)
    if prompt_parts(workspace) or not any(entry.task == "text-to-image" for entry in chosen):
        return None
    return f"{workspace.prompts} holds no prompts: run `cf-caption` before `cf-sample`"


def _cost(entry: CatalogEntry, segment: Segment) -> Cost:
    """The cost of a generator with the settings of a segment."""
    return cost_of(replace(entry, hyperparameters=segment.settings), batch_size=segment.recipe.batch_size)


def _of_round(
    workspace: Workspace, recipe: Recipe, prompts: Sequence[Place], options: SampleOptions
) -> tuple[Recipe, PromptPool]:
    """The recipe with its round, and the prompts of that, on which the digest and the weight of each source depend."""
    number = recipes_file.round_of(
        workspace, "sample", recipe.table(), options.update, by_round=(*BY_ROUND, "source_weights")
    )
    given = replace(recipe, source_weights=dict(options.source_weights))
    while True:
        pool = pool_of(number, prompts, given)
        recipe = replace(
            recipe,
            round=number,
            prompts=pool.digest if prompts else None,
            source_weights=pool.weights if options.source_weights else None,
        )
        # With other weights it may be another round, whose prompts are more.
        number = recipes_file.round_of(workspace, "sample", recipe.table(), options.update, by_round=BY_ROUND)
        if number <= recipe.round:
            return recipe, pool


def fresh_look(workspace: Workspace, generator: PendingGenerator, options: SampleOptions) -> PendingGenerator | None:
    """A generator as it is now; None: another process finished it, or recorded that it fails."""
    progress, previous = _look(workspace, generator.entry)
    generator = replace(generator, progress=progress)
    if _is_finished(workspace, generator, options):
        return None
    if previous != generator.previous and _reason_to_skip(generator.entry, progress, previous, options) is not None:
        return None
    return replace(generator, previous=previous)


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


def _chosen(
    catalog: Sequence[CatalogEntry], options: SampleOptions, removals: Removals
) -> tuple[list[CatalogEntry], list[str]]:
    """The generators that can be sampled and are wanted, by rank, and lines about the others."""
    choice = Choice.of(options.only, options)
    for name in choice.only.given:
        if (removed := removals.generator(name)) is not None:
            raise UsageError(f"--only {name}: it was removed from this workspace ({removed.why})")
    lines = choice.require_known(catalog)
    by_name: dict[str, list[CatalogEntry]] = {}
    for entry in catalog:
        for name in {entry.model_name, entry.generator}:
            by_name.setdefault(name, []).append(entry)
    for name in choice.only.given:
        rows = [entry for one in named_by(name, by_name) for entry in by_name[one]]
        if not any(can_be_sampled(entry, options.allow_pickle) for entry in rows):
            hint = "; --allow-pickle samples it" if any(can_be_sampled(entry, True) for entry in rows) else ""
            why = f"{rows[0].reason}: {rows[0].reason_detail}"
            raise UsageError(f"--only {name}: it cannot be sampled ({why}){hint}")
    ranked = sorted(catalog, key=lambda entry: (entry.rank, entry.model_name))
    able = [entry for entry in ranked if can_be_sampled(entry, options.allow_pickle)]
    reasons = {entry.generator: choice.left_out(entry) for entry in able}
    left_out = [reason for reason in reasons.values() if reason is not None]
    chosen = [entry for entry in able if reasons[entry.generator] is None]
    if left_out:
        line = line_of(left_out, len(able), "generators")
        if not chosen:
            raise UsageError(f"no generator is left to sample; {line}")
        lines.append(line)
    return chosen[: options.limit], lines


def listed_code(entry: CatalogEntry) -> str | None:
    """Why a generator is not sampled whose row lists a file of code, which no crawl does; None: it lists none."""
    code = next((file.path for file in entry.all_files if file.path.endswith(".py")), None)
    if code is None:
        return None
    return f"the catalogue lists a file of code, {code}: code is never downloaded; crawl again with `cf-crawl`"


def can_be_sampled(entry: CatalogEntry, allow_pickle: bool) -> bool:
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
