"""Fills a weight store ahead of the samplers, and frees what they have done.

Generators are fetched in the order in which they will be sampled; one that a sampler waits for with an idle device
comes first. What is complete is held until its generator is done, which the rows and outcomes of the workspace say, or
until a sampler waits for another one and there is no other space. Held are the generators of all shards, whoever
fetched them; fetched are those of this shard. Nothing depends on a process that lives on: whoever starts again finds in
the pool what is there, and in the workspace what is done.
"""

from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from engines.claims import Claims, claims_of
from samplers.assignment.sampled_rounds import pinned_checker
from samplers.fetch.finished import Finished
from samplers.fetch.options import FetchOptions
from samplers.fetch.plan import FetchPlan, plan_fetch
from samplers.outcomes import write_outcome
from samplers.running.supervisor import not_fetched
from samplers.weights.fetching import Fetcher, FetchError
from samplers.weights.filling import FillingStore
from samplers.weights.prefetch import TRIES
from samplers.weights.process_folder import ProcessFolder
from samplers.weights.wanted import known_keys
from workspace.extras import require_extra
from workspace.layout import Workspace
from workspace.progress import Task, task
from workspace.removed import read_removals
from workspace.roots import read_places
from workspace.size import text_of

#: Seconds between two attempts to get space, and two looks while there is nothing to fetch.
LOOK_SECONDS = 5.0
#: Held generators that are named while there is no space.
_NAMED = 3


@dataclass(frozen=True)
class FetchReport:
    """The result of a run."""

    plan: FetchPlan
    """What was to do when it started."""
    fetched: list[str] = field(default_factory=list)
    """Generators of the shard whose files are all there, or were until they were sampled."""
    failed: dict[str, str] = field(default_factory=dict)
    """Generators whose files cannot be downloaded, and why: their outcome says it too."""
    unanswered: dict[str, str] = field(default_factory=dict)
    """Generators that the Hub did not answer for this time."""
    folder: Path | None = None
    """Where the files are."""


def fetch(workspace: Workspace, options: FetchOptions) -> FetchReport:
    """Fetch the files of the shard's generators that are left to sample; returns when all are there.

    Waits for space while the others are sampled. Raises `UsageError` for a workspace without a catalogue and for
    options that do not fit, `HubError` when the safety checker cannot be downloaded, `StorageError` where the disk is
    full or cannot be written.
    """
    require_extra("sample", "cf-fetch")
    assert options.weights_dir is not None
    removals = read_removals(workspace)
    plan = plan_fetch(workspace, options)
    with (
        claims_of(workspace, "sample") as claims,
        ProcessFolder(options.weights_dir, is_shared=True, is_keeper=True) as folder,
    ):
        removals.require_current(workspace)
        fetcher = Fetcher(options.hub, read_places(workspace))
        store = FillingStore(folder, fetcher, options.disk_bytes)
        report = FetchReport(plan, folder=folder.weights_dir)
        with task("fetching", len(plan.share)) as bar:
            _Run(workspace, options, report, claims, folder, store, bar).run()
        return report


class _Run:
    """One run: `left` is to be fetched, `held` is complete and kept, by name."""

    def __init__(
        self,
        workspace: Workspace,
        options: FetchOptions,
        report: FetchReport,
        claims: Claims,
        folder: ProcessFolder,
        store: FillingStore,
        bar: Task,
    ) -> None:
        self._workspace, self._options, self._report = workspace, options, report
        self._claims, self._folder, self._store, self._bar = claims, folder, store, bar
        plan = report.plan
        self._share = {one.entry.generator: one for one in plan.share}
        # Of all shards: what they need is not freed.
        self._unfinished = {one.entry.generator: one.entry for one in plan.pending.generators}
        self._finished = Finished(workspace, plan.pending.generators, plan.sampling)
        self._left = list(self._share)
        self._held: list[str] = []
        self._unverified: list[str] = []
        self._tries: dict[str, int] = {}
        self._said: str | None = None
        #: What the other `cf-fetch` that run have fetched or will.
        self._theirs: set[str] = set()

    def run(self) -> None:
        """Until nothing is left."""
        for note in self._report.plan.pending.notes:
            self._bar.say(note)
        with self._stoppable():
            self._store.notes.fill(self._left)
            self._store.announce(one.entry for one in self._share.values())
            self._fill_checker()
            self._store.free(self._report.plan.over, self._unfinished.values())
            self._hold_what_is_there()
            while self._step():
                pass

    def _step(self) -> bool:
        """Fetch one generator, or wait; False: there is nothing to do any more."""
        self._look()
        if self._left:
            awaited = self._store.notes.awaited()
            name = next((name for name in self._left if name in awaited), self._left[0])
            self._fetch(name, is_awaited=name in awaited)
        elif self._unverified:
            self._verify(self._unverified.pop(0))
        elif waiting := sorted(self._store.notes.awaited().intersection(self._held)):
            # Whoever uses this folder could free them between the end of this process and the look of the sampler.
            self._wait(f"all is there: staying until samplers have taken {', '.join(waiting[:_NAMED])}")
        elif self._options.stay and any(name in self._share for name in self._held):
            self._wait(f"all is there: staying until {len(self._held)} generators are sampled")
        else:
            return False
        return True

    def _fill_checker(self) -> None:
        checker = pinned_checker(self._report.plan.checker, self._options.hub)
        self._checker = checker.partition("@")[::2]
        self._store.fill_checker(*self._checker)

    def _hold_what_is_there(self) -> None:
        for name in self._store.hold(self._unfinished.values()):
            self._keep(name)
            if name in self._share:
                self._unverified.append(name)
        self._left = [name for name in self._left if name not in set(self._held)]

    def _hold_what_others_left(self) -> None:
        """Keep what a `cf-fetch` that has ended had fetched."""
        theirs = self._store.notes.filled()
        left = self._theirs - theirs - set(self._held) - set(self._left)
        self._theirs = theirs
        for name in self._store.hold(self._unfinished[name] for name in sorted(left & self._unfinished.keys())):
            self._keep(name)

    def _look(self) -> None:
        """Free what is done, and note what is missing again because it was damaged."""
        done = []
        for name in self._finished.news():
            if name in self._left:
                self._left.remove(name)
                self._bar.advance(note=f"{name}: done")
            if name in self._held:
                self._held.remove(name)
            done.append(self._unfinished.pop(name))
        if done:
            self._store.free(done, self._unfinished.values())
        self._hold_what_others_left()
        stored = self._store.stored()
        for name in [name for name in self._held if not stored.issuperset(known_keys(self._unfinished[name]))]:
            self._held.remove(name)
            self._store.drop(self._unfinished[name])
            if name in self._share:
                self._bar.say(f"{name}: a file was damaged and removed, and is fetched again")
                self._left.insert(0, name)
        if not self._store.has_checker(*self._checker):
            self._bar.say(f"{self._checker[0]}: a file was damaged and removed, and is fetched again")
            self._store.fill_checker(*self._checker)

    def _fetch(self, name: str, *, is_awaited: bool) -> None:
        entry = self._share[name].entry
        try:
            with self._store.alone():
                # Whoever has ended since the last look had fetched what nobody holds now.
                self._hold_what_others_left()
                is_reserved = self._store.reserve(entry, is_urgent=not self._held)
            if not is_reserved:
                self._make_room(name, is_awaited)
                return
            self._said = None
            self._bar.advance(0, note=f"{name} ({text_of(entry.download_bytes)})")
            self._store.fill(entry)
        except FetchError as error:
            self._fail(name, error)
            return
        self._left.remove(name)
        self._keep(name)

    def _verify(self, name: str) -> None:
        """Read a generator's files that were there before: what is damaged is downloaded again."""
        if name not in self._held:
            return
        self._bar.advance(0, note=f"{name}: verifying")
        try:
            self._store.fill(self._share[name].entry)
        except FetchError as error:
            self._held.remove(name)
            self._left.append(name)
            self._fail(name, error)

    def _keep(self, name: str) -> None:
        self._held.append(name)
        if name in self._share and name not in self._report.fetched:
            self._report.fetched.append(name)
            self._bar.advance(note=name)

    def _fail(self, name: str, error: FetchError) -> None:
        """Try a generator again after the others; in the end record why its files are not there."""
        self._store.drop(self._share[name].entry)
        self._left.remove(name)
        self._tries[name] = self._tries.get(name, 0) + 1
        if error.transient and self._tries[name] < TRIES:
            self._left.append(name)
            return
        self._bar.advance(note=f"{name}: not fetched")
        self._bar.say(f"{name}: {error}")
        if error.transient:
            self._report.unanswered[name] = str(error)
        else:
            self._report.failed[name] = str(error)
            with self._claims.claim(name) as is_claimed:
                if is_claimed:
                    write_outcome(self._workspace, not_fetched(self._share[name], error))
        self._store.notes.fill([name for name in self._share if name in self._left or name in self._held])

    def _make_room(self, name: str, is_awaited: bool) -> None:
        """Give up what nobody uses for one that a sampler waits for; otherwise wait until something is done."""
        awaited = name if is_awaited else self._awaited_of_others()
        in_use = self._store.in_use() if awaited is not None else set()
        victim = next((held for held in reversed(self._held) if held not in in_use), None)
        if awaited is None or victim is None:
            self._wait(self._whom_it_waits_for(name))
            return
        self._bar.say(f"{awaited}: a sampler waits for it, so {victim} gives way and is fetched again later")
        self._held.remove(victim)
        self._store.drop(self._unfinished[victim])
        if victim in self._share:
            self._left.append(victim)
        if not is_awaited:
            # The other `cf-fetch` takes the space.
            self._folder.stopping.wait(LOOK_SECONDS)

    def _awaited_of_others(self) -> str | None:
        """A generator that a sampler waits for and another `cf-fetch` has no space for."""
        notes = self._store.notes
        return min((notes.awaited() & notes.filled()) - self._share.keys(), default=None)

    def _whom_it_waits_for(self, name: str) -> str:
        entry = self._share[name].entry
        limit = self._options.disk_bytes
        within = "on the disk" if limit is None else f"within --max-disk {text_of(limit)}"
        users = [f"{held}{self._claims.holder(held)}" for held in self._held if not self._claims.is_free(held)]
        shown = ", ".join((users or self._held)[:_NAMED])
        more = len(users or self._held) - _NAMED
        shown += f" and {more} more" if more > 0 else ""
        if users:
            whom = f"until samplers are done with {shown}"
        elif self._held:
            whom = (
                f"until {shown} are sampled, which nobody does now: start `cf-sample --offline --weights-dir "
                f"{self._options.weights_dir}` on the nodes"
            )
        else:
            whom = "for other processes that use this folder"
        return f"waiting for space {within}: {name} needs {text_of(entry.download_bytes)}; waits {whom}"

    def _wait(self, why: str) -> None:
        if why != self._said:
            self._said = why
            self._bar.say(why)
        if self._folder.stopping.wait(LOOK_SECONDS):
            raise CancelledError

    @contextmanager
    def _stoppable(self) -> Iterator[None]:
        """On Ctrl-C downloads stop at once; what has arrived of one is lost, and everything that is complete stays."""
        try:
            yield
        except BaseException:
            self._folder.stopping.set()
            raise
