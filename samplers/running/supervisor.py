"""The supervisor: samples the generators of a shard one after the other, whatever happens to each.

It has the token and the network and never opens a weight. While the child samples one generator, a thread downloads the
files of the next ones. A generator is claimed and its progress read from its rows when its turn comes, what is missing
or damaged is planned, what the child makes is checked and stored batch by batch, and the end is recorded. A generator
that fails, hangs or kills the child costs that generator and nothing else.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from crawler.catalog import CatalogEntry
from engines.claims import Claims, TakenOverError, claims_of
from samplers.assignment.helping import Helping
from samplers.assignment.pending import PendingGenerator, PendingWork, find_pending, fresh_look
from samplers.assignment.units import claims_on
from samplers.messages import Start
from samplers.options import SampleOptions
from samplers.outcomes import Outcome, with_history, write_outcome
from samplers.planning.plan import plans_of
from samplers.planning.recipe import BY_ROUND, Recipe
from samplers.planning.segments import images_owed
from samplers.running.generator_run import GeneratorRun
from samplers.running.worker import Worker, warm_up
from samplers.status.run_log import RunLog
from samplers.storage.batches import remove_batches
from samplers.weights.fetching import Fetcher, FetchError
from samplers.weights.offline import OfflineStore
from samplers.weights.prefetch import Store, prefetched
from samplers.weights.process_folder import ProcessFolder, default_weights_dir
from samplers.weights.store import LocalFiles, WeightStore
from workspace import recipe as recipes
from workspace.batch_system import device_of_process
from workspace.extras import require_extra
from workspace.layout import Workspace, generator_of
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
    statuses: Counter[str] = field(default_factory=Counter)
    """The samples of these generators by status."""
    others: list[str] = field(default_factory=list)
    """Generators of its shard that another process has finished meanwhile, or recorded as failed."""
    helped: list[str] = field(default_factory=list)
    """Generators of other shards that it sampled images of."""


@dataclass(frozen=True, kw_only=True)
class OnDevice:
    """One of several supervisors that a process of this machine has started (`samplers/running/node_run.py`)."""

    label: str
    """How its lines begin."""
    prompts: Path | None
    """All prompts, to be mapped."""


def sample(workspace: Workspace, options: SampleOptions = SampleOptions(), on: OnDevice | None = None) -> Report:
    """Sample the shard `options.shard` of the catalogue's generators, as far as they are not finished.

    Raises `UsageError` for options that do not fit the workspace, `SamplingError` without a working safety checker or
    device, `HubError` when the checker cannot be downloaded. While the Hub does not answer well, downloads wait.
    """
    removals = read_removals(workspace)
    pending = prepare(workspace, options, on.prompts if on is not None else None)
    # Also where nothing is pending: it removes the weights that a killed run left.
    with (
        claims_of(workspace, "sample") as claims,
        ProcessFolder(options.weights_dir or default_weights_dir(), is_shared=options.offline) as folder,
    ):
        removals.require_current(workspace)  # from now on nothing is
        run_log = RunLog(workspace, Shard.parse(options.shard), claims.process.path.name)
        with run_log.run(pending):
            helping = Helping(workspace, options, pending, claims) if options.help_others else None
            run = _ShardRun(workspace, options, pending, claims, folder, run_log, helping, on)
            first = pending.generators
            if not first and (one := run.to_help_with()) is not None:
                first = [one]
            return run.run(first) if first else Report(pending)


def prepare(workspace: Workspace, options: SampleOptions, prompts: Path | None = None) -> PendingWork:
    """What is pending, with its recipe written and what interruptions left put in order; `prompts`: where all prompts
    are, to be mapped. Raises as `find_pending`."""
    require_extra("sample", "cf-sample")
    pending = find_pending(workspace, options, prompts=prompts)
    recipes.pin(workspace, "sample", pending.recipe.table(), options.update, by_round=BY_ROUND)
    for outcome in pending.unrecorded:
        write_outcome(workspace, outcome)
    remove_batches(pending.leftovers)
    if workspace.remote is not None:
        for name in {generator_of(path.parent.name) for path in pending.leftovers}:
            workspace.remote.send(name)
    return pending


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
        helping: Helping | None,
        on: OnDevice | None = None,
    ) -> None:
        self._workspace, self._options, self._pending = workspace, options, pending
        self._claims, self._folder = claims, folder
        self._run_log, self._helping, self._on = run_log, helping, on
        self._report = Report(pending)
        self._others: list[PendingGenerator] = []
        self._own = {generator.entry.generator for generator in pending.generators}
        self._ahead: set[str] = set()
        self._known: dict[str, PendingGenerator] = {}

    def run(self, first: list[PendingGenerator]) -> Report:
        """Sample these generators, then what others leave and need, until nothing can be claimed."""
        options, recipe = self._options, self._pending.recipe
        warm_up(self._folder.home)
        store = self._store
        entries = list(self._pending.entries.values()) if self._helping else [one.entry for one in first]
        start = child_start(store, self._folder, recipe, options, entries, self._folder.path / "stderr")
        # The first files are downloaded while the child starts.
        fetched = self._fetched(first)
        with (
            Worker(start, options.timeout) as worker,
            task(self._on.label if self._on else "sampling", len(self._pending.generators)) as bar,
        ):
            self._run_log.child_ready(worker.start())
            bar.advance(0, note=walls_text(worker.walls))
            for note in () if self._on is not None else self._pending.notes:
                bar.say(note)
            while True:
                current = ""
                for idle, (generator, files) in _timed(fetched):
                    # Now its files are removed; before, they must not be fetched again.
                    self._ahead.discard(current)
                    current = generator.entry.generator
                    self._sample(generator, files, idle, worker, bar)
                self._ahead.discard(current)
                free = self._wait_for_others(bar)
                if not free:
                    return self._report
                fetched = self._fetched(free)

    def _fetched(
        self, generators: list[PendingGenerator]
    ) -> Iterator[tuple[PendingGenerator, LocalFiles | FetchError]]:
        self._ahead |= {generator.entry.generator for generator in generators}
        self._known |= {generator.entry.generator: generator for generator in generators}
        return prefetched(generators, self._store, self.to_help_with)

    def to_help_with(self) -> PendingGenerator | None:
        """A generator of another shard, or one that others are at, when nothing else is left; None: there is none."""
        if self._helping is None:
            return None
        found = self._helping.next(without=self._ahead | self._store.lacking(self._pending.entries.values()))
        if found is not None:
            self._ahead.add(found.entry.generator)
            self._known[found.entry.generator] = found
        return found

    def _is_over(self, name: str) -> bool:
        """Whether a generator is finished or failed meanwhile."""
        return fresh_look(self._workspace, self._known[name], self._options) is None

    @cached_property
    def _store(self) -> Store:
        options = self._options
        if options.offline:
            command = f"cf-fetch --workspace {self._workspace.root} --weights-dir {options.weights_dir}"
            return OfflineStore(self._folder, options.wait, command, self._is_over)
        return WeightStore(self._folder, Fetcher(options.hub, read_places(self._workspace)), options.disk_bytes)

    def _wait_for_others(self, bar: Task) -> list[PendingGenerator]:
        """Generators to sample when the own ones are done: those that another process had and that are free now
        although not finished, because it ended, or one to help with.

        Waits until there are some, or none of the shard is left: so a run that ends has sampled all that it was to
        sample.
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
            free = [generator for generator in others if not self._others_are_at(generator)]
            if free:
                self._others = [generator for generator in others if generator not in free]
                return free
            if others and (to_help_with := self.to_help_with()) is not None:
                self._others = others
                return [to_help_with]
            if others:
                time.sleep(_LOOK_SECONDS)
        return []

    def _others_are_at(self, generator: PendingGenerator) -> bool:
        """Whether a process that runs has a generator, or a unit of it."""
        return any(not self._claims.is_free(claim) for claim in claims_on(self._claims, generator.entry.generator))

    def _sample(
        self, generator: PendingGenerator, files: LocalFiles | FetchError, idle: float, worker: Worker, bar: Task
    ) -> None:
        """Sample a generator, as far as no other process is at it, and record the outcome."""
        name = generator.entry.generator
        is_own = name in self._own
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

        run = GeneratorRun(self._workspace, self._claims, fresh, plans, report)
        try:
            outcome = not_fetched(fresh, files) if isinstance(files, FetchError) else run.sample(files, worker)
        except TakenOverError:
            outcome = None
        if outcome is not None:
            self._report.statuses.update(row.status for row in run.progress.rows)
        if not is_own and name not in self._report.helped:
            self._report.helped.append(name)
        if outcome is None:
            self._run_log.generator_left(fresh, run.kept)
            if is_own:
                self._others.append(generator)
            return
        walls = () if isinstance(files, FetchError) else worker.walls
        outcome = replace(outcome, seconds={**outcome.seconds, "idle": round(idle, 3)}, walls=walls)
        outcome = with_history(outcome, fresh.previous)
        if not _is_unanswered(files):
            write_outcome(self._workspace, outcome)
        elif self._helping is not None:
            self._helping.leave(name)
        self._run_log.generator_ended(fresh, outcome, run.kept)
        self._report.outcomes.append(outcome)
        bar.advance(1 if is_own else 0, note=f"{outcome.generator}: {outcome.status}")

    def _leave(self, generator: PendingGenerator, bar: Task) -> None:
        """Count a generator that another process has finished meanwhile."""
        if generator.entry.generator not in self._own:
            return
        self._report.others.append(generator.entry.generator)
        self._run_log.generator_left(generator, len(generator.progress.kept))
        bar.advance(note=f"{generator.entry.generator}: done by another process")


def child_start(
    store: Store,
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
        device=device_of_process(options.device, options.shard),
        home=folder.home,
        stderr=stderr,
        weights=folder.path,
        memory=default_memory() if options.memory_bytes is None else options.memory_bytes or None,
        mapped=max(entry.download_bytes for entry in entries),
    )


def not_fetched(generator: PendingGenerator, error: FetchError) -> Outcome:
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
