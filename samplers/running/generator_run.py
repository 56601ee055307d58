"""One generator, from a look at what is there to its outcome.

Its progress is read when its turn comes: what other processes did since the start of this one counts. Any number of
processes may be at it: each claims a unit (`samplers/assignment/units.py`), makes it and looks again. Who finds nothing
left but what others are at leaves it to them; who finds that no unit is left claims the generator and makes the rest
alone: damaged images, the last batches, parts and the outcome.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from crawler.catalog import CatalogEntry
from engines.claims import Claims, TakenOverError
from samplers.assignment.pending import PendingGenerator
from samplers.assignment.units import Unit, claims_on, units_of
from samplers.messages import Assignment, Result
from samplers.outcomes import Outcome, final_status
from samplers.planning.plan import Plan
from samplers.planning.segments import images_owed
from samplers.running.stderr_log import keep_stderr
from samplers.running.worker import ChildLostError, SamplingError, Worker
from samplers.sample import Sample
from samplers.storage.damage import damaged_images, without_damaged_parts
from samplers.storage.generator_store import GeneratorStore, NotReproducibleError
from samplers.storage.missing_ranges import MissingRange, next_range, range_of
from samplers.storage.progress import GeneratorProgress
from samplers.storage.segment_progress import is_finished, progress_by_segment
from samplers.weights.fetching import content_key
from samplers.weights.store import LocalFiles
from workspace.errors import ChangedElsewhereError, disk_error
from workspace.layout import Workspace, generator_folder


class GeneratorRun:
    """Samples one generator, beside other processes that do."""

    def __init__(
        self,
        workspace: Workspace,
        claims: Claims,
        generator: PendingGenerator,
        plans: Sequence[Plan],
        report: Callable[[int, int], None],
    ) -> None:
        """`plans`: of the generator's segments. `report` is called with the images kept and the samples made, after
        every batch."""
        self._workspace, self._claims = workspace, claims
        self._generator, self._report = generator, report
        self._name, self._claim = generator.entry.generator, generator.entry.generator
        self._segments, self._plans = generator.segments, {plan.first: plan for plan in plans}
        self._made, self._write_seconds = 0, 0.0
        self._kept = set(generator.progress.kept)
        self._seconds: dict[str, float] = {}
        self._last: Sequence[Sample] = ()
        self._damaged: frozenset[int] = frozenset()
        progress = generator.progress
        if not claims_on(claims, self._name):
            # All is read that was written: this generator was not finished, or is damaged.
            if workspace.remote is not None:
                workspace.remote.bring(self._name, whole=True)
            progress = without_damaged_parts(progress, read_after=0)
            self._damaged = damaged_images(workspace, self._name, progress, self._segments[0].recipe.store, 0)
        self._store = GeneratorStore(
            workspace, self._name, self._segments, claims.process.path, progress, lambda: claims.check(self._claim)
        )

    @property
    def progress(self) -> GeneratorProgress:
        """What is stored now, as far as this process knows."""
        return self._store.progress

    @property
    def kept(self) -> int:
        """Distinct images that were there before, and those of this process."""
        return len(self._kept)

    def sample(self, files: LocalFiles, worker: Worker) -> Outcome | None:
        """Sample what is missing and no other process is at; every failure of the generator becomes an outcome.

        None: others are at what is left, and will finish it. Raises `SamplingError` where no generator can be sampled,
        such as on a full disk, and `TakenOverError`.
        """
        outcome = self._outcome(Result(status="done"))
        self._seconds = {"fetch": files.fetch_seconds, "verify": files.verify_seconds}
        try:
            while (result := self._sample_unit(files, worker)) is not None and result.status == "done":
                pass
            if result is not None:
                outcome = self._outcome(result)
            with self._having(self._name) as mine:
                if mine:
                    # Others may have stored more until now, or all of it.
                    is_left = bool(self._units()) or (
                        not self._made and is_finished(self.progress, self._segments) and not self._damaged
                    )
                    if result is None and is_left:
                        return None
                    outcome = self._finish(files, worker, outcome)
                elif not outcome.failed:
                    return None
        except ChildLostError as lost:
            outcome = replace(outcome, status=lost.status, detail=lost.detail)
        except NotReproducibleError as error:
            outcome = replace(outcome, status="not-reproducible", detail=str(error))
        finally:
            worker.unload()
        return replace(
            outcome,
            kept=len(self.progress.kept),
            tries=self.progress.tries,
            timed=self._made,
            seconds={phase: round(value, 3) for phase, value in self._seconds_of_all.items()},
            stderr=worker.last_lines() if outcome.failed else (),
            log=keep_stderr(self._workspace, outcome.generator, worker.output) if outcome.failed else None,
        )

    @property
    def _seconds_of_all(self) -> dict[str, float]:
        return {**self._seconds, "write": self._write_seconds}

    def _units(self) -> list[Unit]:
        """The units that are not made, after a fresh look."""
        self._store.refresh()
        return units_of(progress_by_segment(self.progress, self._segments), self._generator.cost)

    def _sample_unit(self, files: LocalFiles, worker: Worker) -> Result | None:
        """Sample the first unit that can be claimed; None: there is none, or it was not finished."""
        units = self._units()
        taken = self._claims.taken() if units else frozenset()
        folder = generator_folder(self._name)
        claimed = {unit.start for unit in units if unit.claim(folder) in taken}
        if claimed:
            # In order, all that come to help would try the same one.
            random.shuffle(units)
        # Those without a claim first: who has a claim may have ended, but that costs a look at each.
        for unit in sorted(units, key=lambda unit: unit.start in claimed):
            with self._having(unit.claim(self._name)) as mine:
                if not mine:
                    continue
                missing = next((one for one in self._units() if one.start == unit.start), None)
                for first, stop in missing.ranges if missing is not None else ():
                    result = self._sample_range(self._range_of(unit, first, stop), files, worker, alone=False)
                    if result.status != "done":
                        return result
            with self._having(self._name) as mine:
                if mine:
                    self._stored(self._store.write_parts)
            return Result(status="done")
        return None

    def _range_of(self, unit: Unit, first: int, stop: int) -> MissingRange:
        """A range of a unit, with as many images a call and memory saved as this process needed so far."""
        segment = unit.segment
        if self._last:
            return range_of(segment, first, stop, self._last)
        return range_of(
            segment, first, stop, [row for row in self.progress.rows if segment.first <= row.index < segment.stop]
        )

    def _finish(self, files: LocalFiles, worker: Worker, outcome: Outcome) -> Outcome:
        """Sample all that is missing, alone, and put it into parts; after a failure only the latter."""
        former = None
        while not outcome.failed and (missing := self._next_range()) is not None:
            if missing == former:
                raise ChildLostError("misbehaved", "the sampling process ended without the samples it was to make")
            former = missing
            outcome = self._outcome(self._sample_range(missing, files, worker))
            self._damaged -= missing.damaged if not outcome.failed else frozenset()
        self._stored(self._store.finish)
        return outcome if outcome.failed else self._finished()

    def _sample_range(self, missing: MissingRange, files: LocalFiles, worker: Worker, alone: bool = True) -> Result:
        plan = self._plans[missing.segment.first]
        assignment = assignment_of(self._generator.entry, plan, files, missing)
        result = worker.sample(
            replace(assignment, stays=not missing.damaged), self._storing(missing, alone), self._reporting(missing)
        )
        for phase, value in result.seconds.items():
            self._seconds[phase] = self._seconds.get(phase, 0.0) + value
        return result

    @contextmanager
    def _having(self, claim: str) -> Iterator[bool]:
        """A block in which this process has that claim, if it can get it."""
        with self._claims.claim(claim) as mine:
            self._claim = claim if mine else self._claim
            yield mine

    def _storing(self, missing: MissingRange, alone: bool) -> Callable[[list[Sample], dict[int, bytes]], None]:
        def store(rows: list[Sample], images: dict[int, bytes]) -> None:
            if missing.damaged:
                self._stored(lambda: self._store.repair(rows, images, missing.damaged))
            else:
                self._stored(lambda: self._store.add(rows, images, alone))
                self._last = rows
            self._made += len(rows)
            self._kept |= {row.sha256 for row in rows if row.sha256 is not None}
            self._report(self.kept, self.progress.tries)

        return store

    def _reporting(self, missing: MissingRange) -> Callable[[int], None]:
        before = self.progress.tries

        def report(next_index: int) -> None:
            self._report(self.kept, max(before + next_index - missing.first, self.progress.tries))

        return report

    def _stored(self, write: Callable[[], None]) -> None:
        started = time.perf_counter()
        try:
            write()
            if self._workspace.remote is not None:
                self._workspace.remote.send(self._generator.entry.generator)
        except ChangedElsewhereError as error:
            raise TakenOverError(str(error)) from error
        except OSError as error:
            detail = disk_error(error) or error
            raise SamplingError(f"the workspace cannot be written: {detail}") from error
        finally:
            self._write_seconds += time.perf_counter() - started

    def _outcome(self, result: Result) -> Outcome:
        return Outcome(
            model_name=self._generator.entry.model_name,
            revision=self._generator.entry.revision,
            further_revision=self._generator.entry.further_revision,
            round=self._segments[-1].recipe.round,
            status=result.status,
            detail=result.detail,
            reason=result.reason,
        )

    def _next_range(self) -> MissingRange | None:
        return next_range(self.progress, self._damaged, self._segments)

    def _finished(self) -> Outcome:
        """The outcome by the rows."""
        progress = self.progress
        status, detail = final_status(len(progress.kept), images_owed(self._segments), progress.tries)
        return self._outcome(Result(status=status, detail=detail))


def assignment_of(entry: CatalogEntry, plan: Plan, files: LocalFiles, missing: MissingRange) -> Assignment:
    """What the child is told to make `missing` samples of a generator; `plan` is that of their segment."""
    return Assignment(
        plan=plan,
        folder=files.folder,
        base_folder=files.base_folder,
        prior_folder=files.prior_folder,
        first=missing.first,
        stop=missing.stop,
        images=missing.images,
        call_size=missing.call_size,
        kept=missing.kept,
        memory=missing.memory,
        cpu_threads=missing.cpu_threads,
        hashes={file.path: content_key(file) for file in entry.base_files or entry.files},
        single_file_key=next((content_key(file) for file in entry.files if file.path == entry.single_file), None),
        prior_hashes={file.path: content_key(file) for file in entry.prior_files},
    )
