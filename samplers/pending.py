"""The survey: what a shard owes, from the catalogue, the prompts, the recipe and the rows; it changes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from captioning.prompt import prompt_parts, read_prompts
from crawler.catalog import CatalogEntry, read_catalog
from samplers.cost import Cost, cost_of
from samplers.options import DEFAULT_CHECKER, Store
from samplers.outcomes import PASSING, Outcome, ending, read_outcome
from samplers.plan import Recipe
from samplers.progress import GeneratorProgress, progress_of
from samplers.prompting import PromptPool
from samplers.shard_assignment import ShardAssignment, assign_shards, in_order
from samplers.weights.fetching import Fetcher
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.repo_id import split_revision
from workspace.shard import Shard

_COMMIT_LENGTH = 40
#: The crawl's verdict on what has no weights but pickles (crawler/reasons.py).
_PICKLE_ONLY = "pickle-only"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the user asked for, as far as it goes into the recipe; None: the default."""

    images: int = 400
    batch_size: int = 8
    max_tries: int | None = None
    """None: twice the images."""
    steps: int | None = None
    seed: int = 0
    safety_checker: str = DEFAULT_CHECKER
    """repository, or repository@revision"""
    source_weights: Mapping[str, float] = field(default_factory=dict)
    """How often prompts of a real source are asked in comparison to others: 1 where none is given, 0 for never."""
    store: Store = "files"
    """Images as files beside the rows, or inside them."""
    allow_pickle: bool = False
    """Also checkpoints whose weights are pickles, read as weights only."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What the user asked for, as far as it changes no pixel and no row."""

    shard: Shard = field(default=Shard(1, 1))
    only: tuple[str, ...] = ()
    limit: int | None = None
    device: str = "auto"
    weights_dir: Path | None = None
    max_disk: int | None = None
    """Bytes that weights may take there; None: what the disk has."""
    timeout: float = 1800.0
    """Seconds a phase may take without a sign of life."""
    max_memory: int | None = None
    """Bytes the sampling process may fill; 0: no limit; None: a share of what there is."""
    retry_failed: bool = False
    endpoint: str | None = None
    """The Hub; None: huggingface_hub's own (HF_ENDPOINT)."""
    token: str | None = None


@dataclass(frozen=True)
class PendingGenerator:
    """One generator of the shard that owes images."""

    entry: CatalogEntry
    progress: GeneratorProgress
    former: Outcome | None
    cost: Cost


@dataclass(frozen=True)
class PendingWork:
    """What there is to do."""

    recipe: Recipe
    prompts: PromptPool
    owed: list[PendingGenerator]
    """In the order in which they are taken."""
    finished: int
    """Generators that owe nothing any more."""
    left: dict[str, str]
    """Generators that owe images but are not taken up, and why."""
    unrecorded: list[Outcome]
    """Of those that owe nothing, the outcomes that an interruption kept from being written."""
    costs: dict[str, Cost]
    """Of every generator of all shards, by name."""
    division: ShardAssignment
    """Who does what, whether finished or not."""


def survey(workspace: Workspace, wish: Wish, run: Run) -> PendingWork:
    """Look at the shard without changing anything. Raises `UsageError` when there is no catalogue, when generators
    need prompts and there are none, or when `run.only` or `wish.source_weights` name what is not there."""
    chosen = _chosen(read_catalog(workspace), run, wish.allow_pickle)
    costs = {entry.model_name: cost_of(entry, steps=wish.steps, batch_size=wish.batch_size) for entry in chosen}
    division = assign_shards({name: cost.seconds(wish.images) for name, cost in costs.items()}, run.shard.count)
    mine = set(division.share(run.shard.index))
    share = in_order(entry for entry in chosen if entry.model_name in mine)
    has_prompts = bool(prompt_parts(workspace))
    if not has_prompts and any(entry.task == "text-to-image" for entry in share):
        raise UsageError(f"{workspace.prompts} holds no prompts: run `cf-caption` first")
    prompts = PromptPool(read_prompts(workspace) if has_prompts else (), wish.source_weights)
    recipe = Recipe(
        images=wish.images,
        batch_size=wish.batch_size,
        max_tries=wish.max_tries if wish.max_tries is not None else 2 * wish.images,
        seed=wish.seed,
        steps=wish.steps,
        safety_checker=_pinned(wish.safety_checker, run),
        prompts=prompts.digest if has_prompts else None,
        source_weights=prompts.weights if wish.source_weights else None,
        store=wish.store,
        allow_pickle=wish.allow_pickle,
    )
    owed, left, finished = [], {}, 0
    unrecorded: list[Outcome] = []
    for entry in share:
        progress = progress_of(workspace, entry.model_name)
        former = read_outcome(workspace, entry.model_name)
        if former is not None and former.revision != entry.revision:
            former = None
        if progress.revision not in (None, entry.revision):
            left[entry.model_name] = f"sampled at a former revision: {progress.revision}, which the catalogue has left"
        elif progress.finished(recipe):
            finished += 1
            if former is None or former.failed:
                kept, tries = len(progress.kept), progress.next_index
                status, detail = ending(kept, recipe.images, tries)
                now = Outcome(model_name=entry.model_name, revision=entry.revision, status=status, detail=detail)
                unrecorded.append(replace(now, kept=kept, tries=tries))
        elif (code := _code(entry)) is not None:
            left[entry.model_name] = f"the catalogue lists code of its own, which is never fetched: {code}"
        elif former is not None and former.failed and former.status not in PASSING and not run.retry_failed:
            left[entry.model_name] = f"{former.status} before (--retry-failed): {former.detail}"
        else:
            owed.append(PendingGenerator(entry, progress, former, costs[entry.model_name]))
    return PendingWork(recipe, prompts, owed, finished, left, unrecorded, costs, division)


def _chosen(catalog: Sequence[CatalogEntry], run: Run, allow_pickle: bool) -> list[CatalogEntry]:
    """The generators that can be sampled, by rank, as far as the user wants them."""
    by_name = {entry.model_name: entry for entry in catalog}
    for model_name in run.only:
        entry = by_name.get(model_name)
        if entry is None:
            raise UsageError(f"--only {model_name}: not in the catalogue")
        if not _can_be_sampled(entry, allow_pickle):
            hint = "; --allow-pickle takes it" if _can_be_sampled(entry, allow_pickle=True) else ""
            raise UsageError(f"--only {model_name}: it cannot be sampled ({entry.reason}: {entry.reason_detail}){hint}")
    chosen = [
        entry
        for entry in sorted(catalog, key=lambda entry: (entry.rank, entry.model_name))
        if _can_be_sampled(entry, allow_pickle) and (not run.only or entry.model_name in run.only)
    ]
    return chosen[: run.limit]


def _can_be_sampled(entry: CatalogEntry, allow_pickle: bool) -> bool:
    """What is pickled is incompatible; the crawl lists its files all the same where nothing else is wrong with it."""
    pickled = entry.reason == _PICKLE_ONLY and bool(entry.files) and entry.task is not None
    return entry.status == "compatible" or (allow_pickle and pickled and entry.kind == "checkpoint")


def _code(entry: CatalogEntry) -> str | None:
    """A file of code that a row lists, which no crawl does."""
    return next((file.path for file in (*entry.files, *entry.base_files) if file.path.endswith(".py")), None)


def _pinned(checker: str, run: Run) -> str:
    """The checker as repository@commit; asks the Hub what a missing revision stands for."""
    repo_id, revision = split_revision(checker)
    if revision is not None and len(revision) == _COMMIT_LENGTH:
        return checker
    commit, _ = Fetcher(run.endpoint, run.token).listing(repo_id, revision)
    return f"{repo_id}@{commit}"
