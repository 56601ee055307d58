"""The supervisor: a shard's generators one after the other, whatever they do.

It holds the token and the network and never opens a weight. While the child samples one generator, a thread fetches
the next ones' files. What a generator owes is planned, where it stands is read from its rows, and how it ended is
recorded; a generator that fails, hangs or kills the child costs itself and nothing else.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from samplers.child.walls.limits import default_memory
from samplers.messages import Assignment, Progress, Start
from samplers.outcomes import Outcome, after, write_outcome
from samplers.pending import PendingGenerator, PendingWork, Run, Wish, survey
from samplers.plan import Plan, plan_of
from samplers.progress import progress_of, tidy
from samplers.status.run_log import RunLog, run_log_name
from samplers.weights.fetching import Fetcher, FetchError, key_of
from samplers.weights.prefetch import placed
from samplers.weights.scratch import Slot, default_weights_dir
from samplers.weights.store import Placed, WeightStore
from samplers.worker import ChildLostError, Worker, warm_up
from workspace import recipe as recipes
from workspace.errors import HubError
from workspace.extras import require_extra
from workspace.layout import Workspace
from workspace.progress import task

T = TypeVar("T")

#: Generators in a row whose files the Hub did not give, after every attempt, until the run ends: they are not to blame.
_UNANSWERED_AT_MOST = 3


@dataclass(frozen=True)
class Report:
    """What a run came to."""

    survey: PendingWork
    outcomes: list[Outcome]


def sample(workspace: Workspace, wish: Wish, run: Run) -> Report:
    """Sample a shard. Raises `UsageError` for a wish that cannot be carried out, `SamplingError` without a working
    checker or device, `HubError` when the checker cannot be had."""
    require_extra("sample", "cf-sample")
    found = survey(workspace, wish, run)
    recipes.pin(workspace, "sample", found.recipe.settings())
    for outcome in found.unrecorded:
        write_outcome(workspace, outcome)
    outcomes: list[Outcome] = []
    unanswered = 0
    journal = RunLog(workspace, run.shard)
    # Also where nothing is owed: what a kill left of weights is cleared here.
    with Slot(run.weights_dir or default_weights_dir()) as slot:
        if not found.owed:
            return Report(found, outcomes)
        warm_up(slot.home)
        store = WeightStore(slot, Fetcher(run.endpoint, run.token), run.max_disk)
        checker, _, commit = found.recipe.safety_checker.partition("@")
        start = Start(
            checker=store.place_checker(checker, commit),
            device=run.device,
            home=slot.home,
            stderr=workspace.logs / f"{run_log_name(run.shard)}.stderr",
            weights=slot.path,
            workspace=workspace.root,
            memory=default_memory() if run.max_memory is None else run.max_memory or None,
        )
        # The first files come while the child starts.
        arriving = placed(found.owed, store)
        with (
            Worker(start, run.timeout) as worker,
            journal.run(found, worker.start()),
            task("sampling", len(found.owed)) as bar,
        ):
            for idle, (owed, arrived) in _timed(arriving):
                plan = plan_of(owed.entry, found.prompts, found.recipe)
                journal.began(owed, found.recipe)

                def moved(news: Progress, plan: Plan = plan) -> None:
                    journal.moved(plan.model_name, news.kept, news.tries)
                    bar.advance(0, note=f"{plan.model_name}: {news.kept} of {plan.images} images")

                now = _outcome(workspace, owed, plan, arrived, worker, moved)
                now = replace(now, seconds={**now.seconds, "idle": round(idle, 3)})
                outcome = after(owed.former, now)
                unanswered = unanswered + 1 if _is_passing(arrived) else 0
                if not unanswered:
                    write_outcome(workspace, outcome)
                journal.ended(owed, found.recipe, outcome)
                outcomes.append(outcome)
                bar.advance(note=f"{outcome.model_name}: {outcome.status}")
                if unanswered == _UNANSWERED_AT_MOST:
                    raise HubError(f"the Hub does not answer any more; the same command continues later: {arrived}")
    return Report(found, outcomes)


def _outcome(
    workspace: Workspace,
    owed: PendingGenerator,
    plan: Plan,
    arrived: Placed | FetchError,
    worker: Worker,
    moved: Callable[[Progress], None],
) -> Outcome:
    """Sample one generator, whatever it does."""
    about = Outcome(model_name=plan.model_name, revision=plan.revision, status="done")
    if isinstance(arrived, FetchError):
        progress = owed.progress
        return replace(
            about, status="fetch-failed", detail=str(arrived), kept=len(progress.kept), tries=progress.next_index
        )
    tidy(workspace, owed.progress, plan.model_name)
    assignment = Assignment(
        plan=plan,
        workspace=workspace.root,
        folder=arrived.folder,
        base_folder=arrived.base_folder,
        next_index=owed.progress.next_index,
        next_part=owed.progress.parts,
        call_size=owed.progress.call_size(plan.batch_size),
        kept=owed.progress.kept,
        memory=owed.progress.memory,
        hashes={file.path: key_of(file) for file in owed.entry.base_files or owed.entry.files},
    )
    seconds = {"fetch": arrived.fetch_seconds, "verify": arrived.verify_seconds}
    try:
        ended = worker.sample(assignment, moved)
        about = replace(about, status=ended.status, detail=ended.detail, reason=ended.reason)
        seconds |= ended.seconds
    except ChildLostError as lost:
        about = replace(about, status=lost.status, detail=lost.detail)
    progress = progress_of(workspace, plan.model_name)
    tidy(workspace, progress, plan.model_name)
    return replace(
        about,
        kept=len(progress.kept),
        tries=progress.next_index,
        timed=progress.next_index - owed.progress.next_index,
        seconds={phase: round(value, 3) for phase, value in seconds.items()},
        stderr=worker.last_lines() if about.failed else (),
    )


def _timed(items: Iterable[T]) -> Iterator[tuple[float, T]]:
    """Each item with the seconds it was waited for."""
    asked = time.perf_counter()
    for item in items:
        yield time.perf_counter() - asked, item
        asked = time.perf_counter()


def _is_passing(arrived: Placed | FetchError) -> bool:
    """Whether the Hub did not answer: that says nothing about the generator, so nothing is recorded about it."""
    return isinstance(arrived, FetchError) and arrived.passing
