"""The supervisor: samples the generators of a shard one after the other, whatever happens to each.

It has the token and the network and never opens a weight. While the child samples one generator, a thread downloads the
files of the next ones. A generator is claimed and its progress read from its rows when its turn comes, what is missing
or damaged is planned, what the child makes is checked and stored batch by batch, and the end is recorded. A generator
that fails, hangs or kills the child costs that generator and nothing else.
"""

import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from crawler.catalog import CatalogEntry
from samplers.claims import Claims, TakenOverError, claims_of
from samplers.generator_run import GeneratorRun
from samplers.messages import Start
from samplers.options import SampleOptions
from samplers.outcomes import Outcome, with_history, write_outcome
from samplers.pending import PendingGenerator, PendingWork, find_pending, fresh_look
from samplers.plan import plans_of
from samplers.recipe import BY_ROUND, Recipe
from samplers.segments import images_owed
from samplers.status.run_log import RunLog
from samplers.weights.fetching import Fetcher, FetchError
from samplers.weights.prefetch import prefetched
from samplers.weights.process_folder import ProcessFolder, default_weights_dir
from samplers.weights.store import LocalFiles, WeightStore
from samplers.worker import Worker, warm_up
from workspace import recipe as recipes
from workspace.extras import require_extra
from workspace.layout import Workspace
from workspace.progress import Task, task
from workspace.removed import read_removals
from workspace.roots import read_places
from workspace.sandbox.limits import default_memory
from workspace.sandbox.walls import walls_text
from workspace.shard import Shard

T = TypeVar("T")

#: Seconds between two looks at generators that another process has, when there is nothing else to do.
_LOOK_SECONDS = 15.0


@dataclass(frozen=True)
class Report:
    """The result of a run."""

    pending: PendingWork
    """What was to do when it started."""
    outcomes: list[Outcome] = field(default_factory=list)
    """Of the generators that it sampled, in that order."""
    others: list[str] = field(default_factory=list)
    """Generators that another process has finished meanwhile, or recorded as failed."""


def sample(workspace: Workspace, options: SampleOptions = SampleOptions()) -> Report:
    """Sample the shard `options.shard` of the catalogue's generators, as far as they are not finished.

    Raises `UsageError` for options that do not fit the workspace, `SamplingError` without a working safety checker or
    device, `HubError` when the checker cannot be downloaded. While the Hub does not answer well, downloads wait.
    """
    require_extra("sample", "cf-sample")
    removals = read_removals(workspace)
    pending = find_pending(workspace, options)
    recipes.pin(workspace, "sample", pending.recipe.table(), options.update, by_round=BY_ROUND)
    for outcome in pending.unrecorded:
        write_outcome(workspace, outcome)
    for path in pending.leftovers:
        shutil.rmtree(path, ignore_errors=True)
    # Also where nothing is pending: it removes the weights that a killed run left.
    with claims_of(workspace) as claims, ProcessFolder(options.weights_dir or default_weights_dir()) as folder:
        removals.require_current(workspace)  # from now on nothing is
        run_log = RunLog(workspace, Shard.parse(options.shard), claims.process.path.name)
        with run_log.run(pending):
            if not pending.generators:
                return Report(pending)
            return _ShardRun(workspace, options, pending, claims, folder, run_log).run()


class _ShardRun:
    """One run of a shard that has something to do."""

    def __init__(
        self,
        workspace: Workspace,
        options: SampleOptions,
        pending: PendingWork,
        claims: Claims,
        folder: ProcessFolder,
        run_log: RunLog,
    ) -> None:
        self._workspace, self._options, self._pending = workspace, options, pending
        self._claims, self._folder = claims, folder
        self._run_log = run_log
        self._report = Report(pending)
        self._others: list[PendingGenerator] = []

    def run(self) -> Report:
        """Sample all that this process can claim."""
        options, recipe = self._options, self._pending.recipe
        warm_up(self._folder.home)
        store = WeightStore(self._folder, Fetcher(options.hub, read_places(self._workspace)), options.disk_bytes)
        entries = [generator.entry for generator in self._pending.generators]
        start = child_start(store, self._folder, recipe, options, entries, self._claims.process.path / "stderr.txt")
        # The first files are downloaded while the child starts.
        fetched = prefetched(self._pending.generators, store)
        with (
            Worker(start, options.timeout) as worker,
            task("sampling", len(self._pending.generators)) as bar,
        ):
            self._run_log.child_ready(worker.start())
            bar.advance(0, note=walls_text(worker.walls))
            for note in self._pending.notes:
                bar.say(note)
            while True:
                for idle, (generator, files) in _timed(fetched):
                    with self._claims.claim(generator.entry.generator) as claimed:
                        if claimed:
                            self._sample(generator, files, idle, worker, bar)
                        else:
                            self._others.append(generator)
                free = self._wait_for_others(bar)
                if not free:
                    return self._report
                fetched = prefetched(free, store)

    def _wait_for_others(self, bar: Task) -> list[PendingGenerator]:
        """Generators that another process had, and that are free now although not finished: it ended, or failed.

        Waits until there are some, or none is left: so a run that ends has sampled all that it was to sample.
        """
        others, self._others = self._others, []
        if others:
            self._run_log.waiting()
        while others:
            name = others[0].entry.generator
            bar.advance(
                0, note=f"waiting for {len(others)}: {name} is sampled by another process{self._claims.holder(name)}"
            )
            for generator in list(others):
                if fresh_look(self._workspace, generator, self._options) is None:
                    self._leave(generator, bar)
                    others.remove(generator)
            free = [generator for generator in others if self._claims.is_free(generator.entry.generator)]
            if free:
                self._others = [generator for generator in others if generator not in free]
                return free
            if others:
                time.sleep(_LOOK_SECONDS)
        return []

    def _sample(
        self, generator: PendingGenerator, files: LocalFiles | FetchError, idle: float, worker: Worker, bar: Task
    ) -> None:
        """Sample a generator that is claimed, and record the outcome."""
        name = generator.entry.generator
        fresh = fresh_look(self._workspace, generator, self._options)
        if fresh is None:
            self._leave(generator, bar)
            return
        plans = plans_of(fresh.entry, fresh.segments, self._pending.prompts)
        self._run_log.generator_started(fresh)
        owed = images_owed(fresh.segments)

        def report(kept: int, tries: int) -> None:
            self._run_log.progress(name, kept, tries)
            bar.advance(0, note=f"{name}: {kept} of {owed} images")

        try:
            outcome = (
                _not_fetched(fresh, files)
                if isinstance(files, FetchError)
                else GeneratorRun(self._workspace, self._claims, fresh, plans, report).sample(files, worker)
            )
        except TakenOverError:
            self._run_log.generator_left(fresh)
            self._others.append(generator)
            return
        walls = () if isinstance(files, FetchError) else worker.walls
        outcome = replace(outcome, seconds={**outcome.seconds, "idle": round(idle, 3)}, walls=walls)
        outcome = with_history(outcome, fresh.previous)
        if not _is_unanswered(files):
            write_outcome(self._workspace, outcome)
        self._run_log.generator_ended(fresh, outcome)
        self._report.outcomes.append(outcome)
        bar.advance(note=f"{outcome.generator}: {outcome.status}")

    def _leave(self, generator: PendingGenerator, bar: Task) -> None:
        """Count a generator that another process has finished meanwhile."""
        self._report.others.append(generator.entry.generator)
        self._run_log.generator_left(generator)
        bar.advance(note=f"{generator.entry.generator}: done by another process")


def child_start(
    store: WeightStore,
    folder: ProcessFolder,
    recipe: Recipe,
    options: SampleOptions,
    entries: Sequence[CatalogEntry],
    stderr: Path,
) -> Start:
    """What a child gets at its start that samples these generators; the safety checker is downloaded for it."""
    checker, _, commit = recipe.safety_checker.partition("@")
    return Start(
        checker=store.fetch_checker(checker, commit),
        device=options.device,
        home=folder.home,
        stderr=stderr,
        weights=folder.path,
        memory=default_memory() if options.memory_bytes is None else options.memory_bytes or None,
        mapped=max(entry.download_bytes for entry in entries),
    )


def _not_fetched(generator: PendingGenerator, error: FetchError) -> Outcome:
    """The outcome of a generator whose files could not be downloaded."""
    return Outcome(
        model_name=generator.entry.model_name,
        revision=generator.entry.revision,
        further_revision=generator.entry.further_revision,
        round=generator.segments[-1].recipe.round,
        status="fetch-failed",
        detail=str(error),
        kept=len(generator.progress.kept),
        tries=generator.progress.tries,
    )


def _timed(items: Iterable[T]) -> Iterator[tuple[float, T]]:
    """Each item with the seconds that it was waited for."""
    started = time.perf_counter()
    for item in items:
        yield time.perf_counter() - started, item
        started = time.perf_counter()


def _is_unanswered(files: LocalFiles | FetchError) -> bool:
    """Whether the Hub gave no file of it this time: that tells nothing about it, so no outcome is recorded."""
    return isinstance(files, FetchError) and files.transient
