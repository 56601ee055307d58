"""One generator, from a look at what is there to its outcome.

Its progress is read when its turn comes, under this process's claim: what another process did since the start of this
one counts. Everything missing is made: damaged images, gaps in the rows, the rest.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from crawler.catalog import CatalogEntry
from samplers.claims import Claims
from samplers.messages import Assignment, Result
from samplers.outcomes import Outcome, final_status
from samplers.pending import PendingGenerator
from samplers.plan import Plan
from samplers.sample import Sample
from samplers.segments import images_owed
from samplers.stderr_log import keep_stderr
from samplers.storage.damage import damaged_images, without_damaged_parts
from samplers.storage.generator_store import GeneratorStore, NotReproducibleError
from samplers.storage.missing_ranges import MissingRange, next_range
from samplers.storage.progress import GeneratorProgress
from samplers.weights.fetching import content_key
from samplers.weights.store import LocalFiles
from samplers.worker import ChildLostError, SamplingError, Worker
from workspace.errors import disk_error
from workspace.layout import Workspace


class GeneratorRun:
    """Samples one generator that is claimed."""

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
        self._workspace = workspace
        self._generator, self._report = generator, report
        self._segments, self._plans = generator.segments, {plan.first: plan for plan in plans}
        name = generator.entry.generator
        # All is read that was written: this generator was not finished, or is damaged.
        progress = without_damaged_parts(generator.progress, read_after=0)
        self._damaged = damaged_images(workspace, name, progress, self._segments[0].recipe.store, read_after=0)
        self._before, self._write_seconds = progress.tries, 0.0
        self._store = GeneratorStore(
            workspace, name, self._segments, claims.process.path, progress, lambda: claims.check(name)
        )

    @property
    def progress(self) -> GeneratorProgress:
        """What is stored now."""
        return self._store.progress

    def sample(self, files: LocalFiles, worker: Worker) -> Outcome:
        """Sample what is missing; every failure of the generator becomes an outcome.

        Raises `SamplingError` where no generator can be sampled, such as on a full disk, and `TakenOverError`.
        """
        outcome = self._outcome(Result(status="done"))
        seconds = {"fetch": files.fetch_seconds, "verify": files.verify_seconds}
        made = 0
        try:
            former = None
            while (missing := self._next_range()) is not None and not outcome.failed:
                if missing == former:
                    raise ChildLostError("misbehaved", "the sampling process ended without the samples it was to make")
                former = missing
                result = worker.sample(
                    assignment_of(self._generator.entry, self._plans[missing.segment.first], files, missing),
                    self._storing(missing),
                    self._reporting(missing),
                )
                outcome = self._outcome(result)
                self._damaged -= missing.damaged if not outcome.failed else frozenset()
                made += len(missing.damaged)
                for phase, value in result.seconds.items():
                    seconds[phase] = seconds.get(phase, 0.0) + value
            self._stored(self._store.finish)
            if not outcome.failed:
                outcome = self._finished()
        except ChildLostError as lost:
            outcome = replace(outcome, status=lost.status, detail=lost.detail)
        except NotReproducibleError as error:
            outcome = replace(outcome, status="not-reproducible", detail=str(error))
        seconds["write"] = self._write_seconds
        return replace(
            outcome,
            kept=len(self.progress.kept),
            tries=self.progress.tries,
            timed=self.progress.tries - self._before + made,
            seconds={phase: round(value, 3) for phase, value in seconds.items()},
            stderr=worker.last_lines() if outcome.failed else (),
            log=keep_stderr(self._workspace, outcome.generator, worker.output) if outcome.failed else None,
        )

    def _storing(self, missing: MissingRange) -> Callable[[list[Sample], dict[int, bytes]], None]:
        def store(rows: list[Sample], images: dict[int, bytes]) -> None:
            if missing.damaged:
                self._stored(lambda: self._store.repair(rows, images, missing.damaged))
            else:
                self._stored(lambda: self._store.add(rows, images))
            self._report(len(self.progress.kept), self.progress.tries)

        return store

    def _reporting(self, missing: MissingRange) -> Callable[[int], None]:
        before = self.progress.tries

        def report(next_index: int) -> None:
            self._report(len(self.progress.kept), max(before + next_index - missing.first, self.progress.tries))

        return report

    def _stored(self, write: Callable[[], None]) -> None:
        started = time.perf_counter()
        try:
            write()
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
