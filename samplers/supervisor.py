"""The supervisor: a shard's generators one after the other, whatever they do.

It holds the token and the network and never opens a weight. While the child samples one generator, a thread fetches
the next one's files. What a generator owes is planned, where it stands is read from its rows, and how it ended is
recorded; a generator that fails, hangs or kills the child costs itself and nothing else.
"""

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from captioning.prompt import read_prompts
from crawler.catalog import CatalogEntry, read_catalog
from samplers.fetching import Fetcher, FetchError
from samplers.messages import Assignment, Moved, Start
from samplers.outcomes import Outcome, after, ending, read_outcome, write_outcome
from samplers.plan import Plan, Recipe, plan_of
from samplers.prompting import PromptPool
from samplers.scratch import Slot, default_weights_dir
from samplers.standing import Standing, standing_of, tidy
from samplers.weights import Placed, WeightStore
from samplers.worker import ChildLostError, Worker
from workspace import recipe as recipes
from workspace.errors import HubError, UsageError
from workspace.layout import Workspace
from workspace.progress import Log, Task, task
from workspace.shard import Shard

_COMMIT_LENGTH = 40

#: Generators in a row whose files the Hub did not give, after every attempt, until the run ends: they are not to blame.
_UNANSWERED_AT_MOST = 3

#: Stable Diffusion's safety checker, at the last commit of its main branch.
DEFAULT_CHECKER = "CompVis/stable-diffusion-safety-checker@cb41f3a270d63d454d385fc2e4f571c487c253c5"


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


@dataclass(frozen=True, kw_only=True)
class Run:
    """What the user asked for, as far as it changes no pixel and no row."""

    shard: Shard = field(default=Shard(1, 1))
    only: tuple[str, ...] = ()
    limit: int | None = None
    device: str = "auto"
    weights_dir: Path | None = None
    timeout: float = 1800.0
    """Seconds a phase may take without a sign of life."""
    retry_failed: bool = False
    endpoint: str | None = None
    """The Hub; None: huggingface_hub's own (HF_ENDPOINT)."""
    token: str | None = None


@dataclass(frozen=True)
class Owed:
    """One generator of the shard that owes images."""

    entry: CatalogEntry
    standing: Standing
    former: Outcome | None


@dataclass(frozen=True)
class Survey:
    """What there is to do."""

    recipe: Recipe
    prompts: PromptPool
    owed: list[Owed]
    finished: int
    """Generators that owe nothing any more."""
    left: dict[str, str]
    """Generators that owe images but are not taken up, and why."""
    unrecorded: list[Outcome]
    """Of those that owe nothing, the outcomes that an interruption kept from being written."""


@dataclass(frozen=True)
class Report:
    """What a run came to."""

    survey: Survey
    outcomes: list[Outcome]


def survey(workspace: Workspace, wish: Wish, run: Run) -> Survey:
    """Look at the shard without changing anything. Raises `UsageError` when there is no catalogue, when generators
    need prompts and there are none, or when `run.only` names what cannot be sampled."""
    share = run.shard.of(_chosen(read_catalog(workspace), run))
    has_prompts = any(workspace.prompts.glob("*/part-*.parquet"))
    if not has_prompts and any(entry.task == "text-to-image" for entry in share):
        raise UsageError(f"{workspace.prompts} holds no prompts: run `cf-caption` first")
    prompts = PromptPool(read_prompts(workspace) if has_prompts else ())
    recipe = Recipe(
        images=wish.images,
        batch_size=wish.batch_size,
        max_tries=wish.max_tries if wish.max_tries is not None else 2 * wish.images,
        seed=wish.seed,
        steps=wish.steps,
        safety_checker=_pinned(wish.safety_checker, run),
        prompts=prompts.digest if has_prompts else None,
    )
    owed, left, finished = [], {}, 0
    unrecorded: list[Outcome] = []
    for entry in share:
        standing = standing_of(workspace, entry.model_name)
        former = read_outcome(workspace, entry.model_name)
        if former is not None and former.revision != entry.revision:
            former = None
        if standing.revision not in (None, entry.revision):
            left[entry.model_name] = f"it was sampled at revision {standing.revision}, which the catalogue has left"
        elif standing.finished(recipe):
            finished += 1
            if former is None or former.failed:
                kept, tries = len(standing.kept), standing.next_index
                status, detail = ending(kept, recipe.images, tries)
                now = Outcome(model_name=entry.model_name, revision=entry.revision, status=status, detail=detail)
                unrecorded.append(replace(now, kept=kept, tries=tries))
        elif former is not None and former.status == "quarantined":
            left[entry.model_name] = f"quarantined: {former.detail}"
        elif former is not None and former.failed and not run.retry_failed:
            left[entry.model_name] = f"{former.status} before (--retry-failed): {former.detail}"
        else:
            owed.append(Owed(entry, standing, former))
    return Survey(recipe, prompts, owed, finished, left, unrecorded)


def sample(workspace: Workspace, wish: Wish, run: Run) -> Report:
    """Sample a shard. Raises `UsageError` for a wish that cannot be carried out, `SamplingError` without a working
    checker or device, `HubError` when the checker cannot be had."""
    found = survey(workspace, wish, run)
    recipes.pin(workspace, "sample", found.recipe.settings())
    for outcome in found.unrecorded:
        write_outcome(workspace, outcome)
    outcomes: list[Outcome] = []
    unanswered = 0
    if not found.owed:
        return Report(found, outcomes)
    name = f"sample-{run.shard.index}-of-{run.shard.count}"
    log = Log(workspace, name)
    with Slot(run.weights_dir or default_weights_dir()) as slot:
        store = WeightStore(slot.path, Fetcher(run.endpoint, run.token))
        checker, commit = found.recipe.safety_checker.rsplit("@", 1)
        start = Start(
            checker=store.place_checker(checker, commit),
            device=run.device,
            home=slot.home,
            stderr=workspace.logs / f"{name}.stderr",
        )
        with Worker(start, run.timeout) as worker, task("sampling", len(found.owed)) as bar:
            log.event("started", generators=len(found.owed), device=worker.start())
            for owed, placed in _placed(found.owed, store):
                plan = plan_of(owed.entry, found.prompts, found.recipe)
                outcome = after(owed.former, _outcome(workspace, owed, plan, placed, worker, bar))
                unanswered = unanswered + 1 if _is_passing(placed) else 0
                if not unanswered:
                    write_outcome(workspace, outcome)
                log.event("ended", model_name=outcome.model_name, status=outcome.status, detail=outcome.detail)
                outcomes.append(outcome)
                bar.advance(note=f"{outcome.model_name}: {outcome.status}")
                if unanswered == _UNANSWERED_AT_MOST:
                    raise HubError(f"the Hub does not answer any more; the same command continues later: {placed}")
    return Report(found, outcomes)


def _chosen(catalog: Sequence[CatalogEntry], run: Run) -> list[CatalogEntry]:
    """The compatible generators by rank, as far as the user wants them."""
    by_name = {entry.model_name: entry for entry in catalog}
    for model_name in run.only:
        entry = by_name.get(model_name)
        if entry is None:
            raise UsageError(f"--only {model_name}: not in the catalogue")
        if entry.status != "compatible":
            raise UsageError(f"--only {model_name}: it cannot be sampled ({entry.reason}: {entry.reason_detail})")
    chosen = [
        entry
        for entry in sorted(catalog, key=lambda entry: (entry.rank, entry.model_name))
        if entry.status == "compatible" and (not run.only or entry.model_name in run.only)
    ]
    return chosen[: run.limit]


def _pinned(checker: str, run: Run) -> str:
    """The checker as repository@commit; asks the Hub what a missing revision stands for."""
    repo_id, _, revision = checker.partition("@")
    if len(revision) == _COMMIT_LENGTH:
        return checker
    commit, _ = Fetcher(run.endpoint, run.token).listing(repo_id, revision or None)
    return f"{repo_id}@{commit}"


def _outcome(
    workspace: Workspace, owed: Owed, plan: Plan, placed: "Placed | FetchError", worker: Worker, bar: Task
) -> Outcome:
    """Sample one generator, whatever it does."""
    about = Outcome(model_name=plan.model_name, revision=plan.revision, status="done")
    if isinstance(placed, FetchError):
        standing = owed.standing
        return replace(
            about, status="fetch-failed", detail=str(placed), kept=len(standing.kept), tries=standing.next_index
        )
    tidy(workspace, owed.standing, plan.model_name)
    assignment = Assignment(
        plan=plan,
        workspace=workspace.root,
        folder=placed.folder,
        base_folder=placed.base_folder,
        next_index=owed.standing.next_index,
        next_part=owed.standing.parts,
        call_size=owed.standing.call_size(plan.batch_size),
        kept=owed.standing.kept,
    )

    def moved(news: Moved) -> None:
        bar.advance(0, note=f"{plan.model_name}: {news.kept} of {plan.images} images")

    seconds = {"fetch": placed.fetch_seconds, "verify": placed.verify_seconds}
    try:
        ended = worker.sample(assignment, moved)
        about = replace(about, status=ended.status, detail=ended.detail)
        seconds |= ended.seconds
    except ChildLostError as lost:
        about = replace(about, status="hung" if lost.hung else "crashed", detail=lost.detail)
    standing = standing_of(workspace, plan.model_name)
    tidy(workspace, standing, plan.model_name)
    return replace(
        about,
        kept=len(standing.kept),
        tries=standing.next_index,
        seconds={phase: round(value, 3) for phase, value in seconds.items()},
        stderr=worker.last_lines() if about.failed else (),
    )


def _is_passing(placed: "Placed | FetchError") -> bool:
    """Whether the Hub did not answer: that says nothing about the generator, so nothing is recorded about it."""
    return isinstance(placed, FetchError) and placed.passing


def _placed(owed: Sequence[Owed], store: WeightStore) -> Iterator[tuple[Owed, "Placed | FetchError"]]:
    """Each generator with its files in place, or why they are not; the next one's are fetched in the meantime."""
    entries = [one.entry for one in owed]
    arriving = _Arrival(store, entries[0])
    for number, one in enumerate(owed):
        placed = arriving.wait()
        upcoming = entries[number + 1 :]
        if upcoming:
            arriving = _Arrival(store, upcoming[0])
        yield one, placed
        store.release(one.entry, upcoming)


class _Arrival:
    """A generator's files on their way, in a thread that does not keep the process alive."""

    def __init__(self, store: WeightStore, entry: CatalogEntry) -> None:
        self._result: queue.SimpleQueue[Placed | Exception] = queue.SimpleQueue()
        threading.Thread(target=self._fetch, args=(store, entry), daemon=True).start()

    def wait(self) -> "Placed | FetchError":
        """The files, or why that repository cannot give them. Raises what is not the repository's fault."""
        result = self._result.get()
        if isinstance(result, Placed | FetchError):
            return result
        raise result

    def _fetch(self, store: WeightStore, entry: CatalogEntry) -> None:
        try:
            self._result.put(store.place(entry))
        except Exception as error:
            self._result.put(error)
