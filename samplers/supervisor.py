"""The supervisor: samples the generators of a shard one after the other, whatever happens to each.

It has the token and the network and never opens a weight. While the child samples one generator, a thread downloads the
files of the next ones. What is missing is planned, progress is read from the rows, and the end of each generator is
recorded. A generator that fails, hangs or kills the child costs that generator and nothing else.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from samplers.messages import Assignment, Progress, Start
from samplers.options import SampleOptions
from samplers.outcomes import Outcome, with_history, write_outcome
from samplers.pending import PendingGenerator, PendingWork, find_pending
from samplers.plan import Plan, plan_of
from samplers.progress import progress_of, remove_leftovers
from samplers.status.run_log import RunLog, run_log_name
from samplers.weights.fetching import Fetcher, FetchError, content_key
from samplers.weights.prefetch import prefetched
from samplers.weights.process_folder import ProcessFolder, default_weights_dir
from samplers.weights.store import LocalFiles, WeightStore
from samplers.worker import ChildLostError, Worker, warm_up
from workspace import recipe as recipes
from workspace.errors import HubError
from workspace.extras import require_extra
from workspace.layout import Workspace
from workspace.progress import task
from workspace.sandbox.limits import default_memory
from workspace.shard import Shard

T = TypeVar("T")

#: Generators in a row for which the Hub did not answer, after every retry, that end the run: the Hub is the reason.
_MAX_UNANSWERED = 3


@dataclass(frozen=True)
class Report:
    """The result of a run."""

    pending: PendingWork
    """What was to do when it started."""
    outcomes: list[Outcome]
    """Of the generators that it sampled, in that order."""


def sample(workspace: Workspace, options: SampleOptions = SampleOptions()) -> Report:
    """Sample the shard `options.shard` of the catalogue's generators, as far as they are not finished.

    Raises `UsageError` for options that do not fit the workspace, `SamplingError` without a working safety checker or
    device, `HubError` when the checker cannot be downloaded or the Hub no longer answers.
    """
    require_extra("sample", "cf-sample")
    pending = find_pending(workspace, options)
    recipes.pin(workspace, "sample", pending.recipe.settings())
    for outcome in pending.unrecorded:
        write_outcome(workspace, outcome)
    outcomes: list[Outcome] = []
    unanswered = 0
    shard = Shard.parse(options.shard)
    run_log = RunLog(workspace, shard)
    # Also where nothing is pending: it removes the weights that a killed run left.
    with ProcessFolder(options.weights_dir or default_weights_dir()) as folder:
        if not pending.generators:
            return Report(pending, outcomes)
        warm_up(folder.home)
        store = WeightStore(folder, Fetcher(options.hub), options.disk_bytes)
        checker, _, commit = pending.recipe.safety_checker.partition("@")
        start = Start(
            checker=store.fetch_checker(checker, commit),
            device=options.device,
            home=folder.home,
            stderr=workspace.logs / f"{run_log_name(shard)}.stderr",
            weights=folder.path,
            workspace=workspace.root,
            memory=default_memory() if options.memory_bytes is None else options.memory_bytes or None,
            mapped=max(generator.entry.download_bytes for generator in pending.generators),
        )
        # The first files are downloaded while the child starts.
        fetched = prefetched(pending.generators, store)
        with (
            Worker(start, options.timeout) as worker,
            run_log.run(pending, worker.start()),
            task("sampling", len(pending.generators)) as bar,
        ):
            for idle, (generator, files) in _timed(fetched):
                plan = plan_of(generator.entry, pending.prompts, pending.recipe)
                run_log.generator_started(generator, pending.recipe)

                def report(progress: Progress, plan: Plan = plan) -> None:
                    run_log.progress(plan.model_name, progress.kept, progress.tries)
                    bar.advance(0, note=f"{plan.model_name}: {progress.kept} of {plan.images} images")

                outcome = _sampled(workspace, generator, plan, files, worker, report)
                outcome = replace(outcome, seconds={**outcome.seconds, "idle": round(idle, 3)})
                outcome = with_history(outcome, generator.previous)
                unanswered = unanswered + 1 if _is_unanswered(files) else 0
                if not unanswered:
                    write_outcome(workspace, outcome)
                run_log.generator_ended(generator, pending.recipe, outcome)
                outcomes.append(outcome)
                bar.advance(note=f"{outcome.model_name}: {outcome.status}")
                if unanswered == _MAX_UNANSWERED:
                    raise HubError(f"the Hub does not answer; run the same command again later to continue: {files}")
    return Report(pending, outcomes)


def _sampled(
    workspace: Workspace,
    generator: PendingGenerator,
    plan: Plan,
    files: LocalFiles | FetchError,
    worker: Worker,
    report: Callable[[Progress], None],
) -> Outcome:
    """Sample one generator; every failure of it becomes an outcome."""
    before = generator.progress
    outcome = Outcome(model_name=plan.model_name, revision=plan.revision, status="done")
    if isinstance(files, FetchError):
        detail, kept, tries = str(files), len(before.kept), before.next_index
        return replace(outcome, status="fetch-failed", detail=detail, kept=kept, tries=tries)
    remove_leftovers(workspace, before, plan.model_name)
    assignment = Assignment(
        plan=plan,
        workspace=workspace.root,
        folder=files.folder,
        base_folder=files.base_folder,
        prior_folder=files.prior_folder,
        next_index=before.next_index,
        next_part=before.parts,
        call_size=before.call_size(plan.batch_size),
        kept=before.kept,
        memory=before.memory,
        hashes={file.path: content_key(file) for file in generator.entry.base_files or generator.entry.files},
        prior_hashes={file.path: content_key(file) for file in generator.entry.prior_files},
    )
    seconds = {"fetch": files.fetch_seconds, "verify": files.verify_seconds}
    try:
        result = worker.sample(assignment, report)
        outcome = replace(outcome, status=result.status, detail=result.detail, reason=result.reason)
        seconds |= result.seconds
    except ChildLostError as lost:
        outcome = replace(outcome, status=lost.status, detail=lost.detail)
    progress = progress_of(workspace, plan.model_name)
    remove_leftovers(workspace, progress, plan.model_name)
    return replace(
        outcome,
        kept=len(progress.kept),
        tries=progress.next_index,
        timed=progress.next_index - before.next_index,
        seconds={phase: round(value, 3) for phase, value in seconds.items()},
        stderr=worker.last_lines() if outcome.failed else (),
    )


def _timed(items: Iterable[T]) -> Iterator[tuple[float, T]]:
    """Each item with the seconds that it was waited for."""
    started = time.perf_counter()
    for item in items:
        yield time.perf_counter() - started, item
        started = time.perf_counter()


def _is_unanswered(files: LocalFiles | FetchError) -> bool:
    """Whether the Hub did not answer: that tells nothing about the generator, so no outcome is recorded."""
    return isinstance(files, FetchError) and files.transient
