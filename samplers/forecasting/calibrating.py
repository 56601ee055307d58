"""Measures the device: one batch of a cheap, a middle and an expensive generator, sampled and thrown away.

The generators are those of the shard, downloaded, loaded, sampled, checked and encoded as in a run: by the same child,
behind the same walls. Their images go nowhere, and no row or outcome is written: only `logs/calibration.json`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from captioning.prompt import Prompt
from samplers.assignment.pending import PendingGenerator, PendingWork
from samplers.assignment.sampled_rounds import pinned_checker
from samplers.forecasting.calibration import Calibrated, Calibration, write_calibration
from samplers.messages import Assignment, Start
from samplers.options import SampleOptions
from samplers.planning.plan import Plan, plans_of
from samplers.planning.prompting import PromptPool
from samplers.running.worker import ChildLostError, SamplingError, Worker, warm_up
from samplers.sample import Sample
from samplers.weights.fetching import Fetcher, FetchError, content_key
from samplers.weights.process_folder import ProcessFolder, default_weights_dir
from samplers.weights.store import WeightStore
from workspace.errors import UsageError
from workspace.extras import require_extra
from workspace.layout import Workspace
from workspace.progress import task
from workspace.roots import read_places
from workspace.sandbox.limits import default_memory

#: Every image gets it: text encoders work on a fixed number of tokens, so captions are not needed.
_PROMPT = Prompt(
    prompt_id="calibration",
    prompt="a photograph of a quiet street with parked bicycles in front of a red brick house",
    real_source="calibration",
    real_title="calibration",
    caption_origin="user",
)
#: Generators that are tried for each of the three before it is given up.
_TRIES = 3


def calibrate(workspace: Workspace, options: SampleOptions, pending: PendingWork) -> Calibration:
    """Measure the device with generators of the shard; writes and returns the record.

    Raises `UsageError` where the shard has nothing left to sample, and what `sample` raises; where no generator gives a
    batch, `SamplingError`.
    """
    require_extra("sample", "cf-sample --calibrate")
    if not pending.generators:
        raise UsageError("--calibrate: this shard has nothing left to sample, so there is nothing to measure")
    checker = pinned_checker(options.safety_checker, options.hub)
    with ProcessFolder(options.weights_dir or default_weights_dir()) as folder:
        warm_up(folder.home)
        store = WeightStore(folder, Fetcher(options.hub, read_places(workspace)), options.disk_bytes)
        repo_id, _, commit = checker.partition("@")
        start = Start(
            checker=store.fetch_checker(repo_id, commit),
            device=options.device,
            home=folder.home,
            stderr=folder.path / "calibration.stderr",
            weights=folder.path,
            memory=default_memory() if options.memory_bytes is None else options.memory_bytes or None,
            mapped=max(generator.entry.download_bytes for generator in pending.generators),
        )
        with Worker(start, options.timeout) as worker:
            worker.start()
            run = _Run(options, pending, store, worker)
            measured = run.all_three()
    if not measured:
        reasons = "; ".join(f"{name}: {why}" for name, why in run.failed.items())
        raise SamplingError(f"--calibrate: no generator gave a batch ({reasons})")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    calibration = Calibration(device=run.device, measured_at=now, generators=tuple(measured), failed=run.failed)
    write_calibration(workspace, calibration)
    return calibration


class _Run:
    """Batches of generators, one after the other."""

    def __init__(self, options: SampleOptions, pending: PendingWork, store: WeightStore, worker: Worker) -> None:
        self._options, self._store, self._worker = options, store, worker
        self._generators = sorted(pending.generators, key=lambda one: (one.seconds, one.entry.rank))
        self._prompts = PromptPool([_PROMPT])
        self.device = options.device
        """Of the last batch."""
        self.failed: dict[str, str] = {}

    def all_three(self) -> list[Calibrated]:
        """The cheapest, one in the middle, and the most expensive; where one fails, a neighbour."""
        found: list[Calibrated] = []
        with task("calibrating", 3) as bar:
            for place in (0, len(self._generators) // 2, len(self._generators) - 1):
                tried = {one.generator for one in found} | self.failed.keys()
                for generator in _around(self._generators, place, tried):
                    bar.advance(0, note=generator.entry.generator)
                    measured = self._measure(generator)
                    if measured is not None:
                        found.append(measured)
                        break
                bar.advance()
        return found

    def _measure(self, generator: PendingGenerator) -> Calibrated | None:
        entry = generator.entry
        try:
            files = self._store.fetch(entry)
        except FetchError as error:
            self.failed[entry.generator] = f"fetch-failed: {error}"
            return None
        pixels, size, made = 0, 0, 0

        def count(rows: list[Sample], images: dict[int, bytes]) -> None:
            nonlocal pixels, size, made
            made += len(rows)
            size += sum(map(len, images.values()))
            pixels += sum((row.width or 0) * (row.height or 0) for row in rows if row.index in images)
            self.device = rows[-1].device or self.device

        plan = self._plan(generator)
        assignment = Assignment(
            plan=plan,
            folder=files.folder,
            base_folder=files.base_folder,
            prior_folder=files.prior_folder,
            call_size=plan.batch_size,
            hashes={file.path: content_key(file) for file in entry.base_files or entry.files},
            single_file_key=next((content_key(file) for file in entry.files if file.path == entry.single_file), None),
            prior_hashes={file.path: content_key(file) for file in entry.prior_files},
        )
        try:
            result = self._worker.sample(assignment, count)
            failure = None if made else f"{result.status}: {result.detail}"
            seconds = result.seconds
        except ChildLostError as lost:
            failure, seconds = f"{lost.status}: {lost.detail}", {}
        finally:
            self._store.release(entry)
        if failure is not None:
            self.failed[entry.generator] = failure
            return None
        return Calibrated(
            generator=entry.generator,
            revision=entry.revision,
            images=made,
            seconds={phase: round(value, 4) for phase, value in seconds.items()},
            nominal_load=generator.cost.load,
            nominal_sample=generator.cost.image * made,
            pixels=pixels,
            image_bytes=size,
        )

    def _plan(self, generator: PendingGenerator) -> Plan:
        """One batch of its newest segment."""
        newest = generator.segments[-1]
        size = newest.recipe.batch_size
        # Nothing is reserved: there is one prompt, for all.
        recipe = replace(newest.recipe, images_per_prompt=size, evaluation_prompts=0.0, holdout=None, validation=None)
        segment = replace(newest, recipe=recipe, first=0, stop=size, images=size)
        return plans_of(generator.entry, [segment], {recipe.round: self._prompts})[0]


def _around(generators: Sequence[PendingGenerator], place: int, tried: set[str]) -> Iterator[PendingGenerator]:
    """The generators nearest to a place that were not tried yet."""
    near = sorted(range(len(generators)), key=lambda number: (abs(number - place), number))
    left = [generators[number] for number in near if generators[number].entry.generator not in tried]
    yield from left[:_TRIES]
