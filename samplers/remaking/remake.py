"""Makes images again into a folder, as they were sampled, and compares each with its row.

Everything is that of sampling: the plan of the workspace's recipe, the weight store, the sampling process behind its
walls, the checks of what it sends. An image is made in the batch and the calls in which it was made, because its
neighbours change its last bits; the neighbours are thrown away. The workspace is read, and nothing of it changed. An
image that is flagged, or was, is not written.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from crawler.catalog import CatalogEntry
from samplers.options import RemakeOptions
from samplers.remaking.comparison import compare
from samplers.remaking.naming import Rows, named_rows
from samplers.remaking.results import Remade, RemadeRow, ResultFolder
from samplers.remaking.sources import Sourced, Sources
from samplers.running.generator_run import assignment_of
from samplers.running.supervisor import child_start
from samplers.running.worker import ChildLostError, Worker, warm_up
from samplers.sample import Sample, image_name
from samplers.storage.missing_ranges import MissingRange
from samplers.weights.fetching import Fetcher, FetchError
from samplers.weights.prefetch import prefetched
from samplers.weights.process_folder import ProcessFolder, default_weights_dir
from samplers.weights.store import LocalFiles, WeightStore
from workspace.errors import UsageError
from workspace.extras import require_extra
from workspace.layout import Workspace
from workspace.progress import Task, task
from workspace.sandbox.walls import walls_text

#: Rows of a message that no row can be made.
_NAMED = 3


def remake(workspace: Workspace, rows: Rows, into: Path, options: RemakeOptions = RemakeOptions()) -> Remade:
    """Make the images of `rows` again in the folder `into`, and write there what is equal and where others differ.

    Raises `UsageError` where rows cannot be read, where none of them can be made from this workspace, and for a folder
    that cannot be used; `SamplingError` without a device or a safety checker; `HubError` where the checker cannot be
    downloaded. What goes wrong with one generator is in its rows.
    """
    require_extra("sample", "cf-sample --remake")
    named = named_rows(rows)
    sources = Sources(workspace)
    found = list(sources.find(named.rows))
    reasons = dict.fromkeys(one for one in found if isinstance(one, str))
    if len(reasons) and all(isinstance(one, str) for one in found):
        shown = "; ".join([*reasons][:_NAMED])
        raise UsageError(f"--remake {named.rows[0].given}: {shown}")
    folder = ResultFolder(workspace, into, [_identity(row) for row in named.rows])
    return Remade(_Run(sources, folder, options).run(found, [row.given for row in named.rows]), folder.path, named.real)


@dataclass
class _Generator:
    """The rows of one generator, by number."""

    entry: CatalogEntry
    rows: dict[int, Sourced] = field(default_factory=dict)

    def calls(self) -> Iterator[tuple[MissingRange, dict[int, Sourced]]]:
        """What is made at a time: rows of one batch, in calls of one size."""
        by_batch: dict[tuple[Any, ...], dict[int, Sourced]] = {}
        for number, row in sorted(self.rows.items(), key=lambda item: item[1].index):
            key = (row.batch[0].index, row.call_size, row.memory, row.cpu_threads)
            by_batch.setdefault(key, {})[number] = row
        for (_, call_size, memory, cpu_threads), rows in by_batch.items():
            of_batch = list(rows.values())
            first, stop = of_batch[0].index, of_batch[-1].index + 1
            segment = of_batch[0].segment
            yield (
                MissingRange(
                    segment=segment,
                    first=first,
                    stop=stop,
                    call_size=call_size,
                    memory=memory,
                    cpu_threads=cpu_threads,
                ),
                rows,
            )


class _Run:
    """One remake."""

    def __init__(self, sources: Sources, folder: ResultFolder, options: RemakeOptions) -> None:
        self._sources, self._folder, self._options = sources, folder, options.sampling
        self._results = dict(folder.done)

    def run(self, found: Sequence[Sourced | str], given: Sequence[str]) -> tuple[RemadeRow, ...]:
        """Make all rows that are not done; the results in their order."""
        generators: dict[str, _Generator] = {}
        for number, (one, name) in enumerate(zip(found, given, strict=True), start=1):
            if isinstance(one, str):
                self._results[number] = RemadeRow(number=number, given=name, result="not-made", detail=one)
            elif number not in self._results:
                generators.setdefault(one.entry.generator, _Generator(one.entry)).rows[number] = one
        try:
            if generators:
                self._make(list(generators.values()))
        finally:
            self._write(finished=len(self._results) == len(found))
        return tuple(self._results[number] for number in sorted(self._results))

    def _make(self, generators: list[_Generator]) -> None:
        options = self._options
        with ProcessFolder(options.weights_dir or default_weights_dir()) as folder:
            warm_up(folder.home)
            store = WeightStore(folder, Fetcher(options.hub, self._sources.places), options.disk_bytes)
            entries = [generator.entry for generator in generators]
            start = child_start(store, folder, self._sources.recipe, options, entries, folder.path / "stderr")
            fetched = prefetched(generators, store)
            rows = sum(len(generator.rows) for generator in generators)
            with Worker(start, options.timeout) as worker, task("making again", rows) as bar:
                worker.start()
                bar.advance(0, note=walls_text(worker.walls))
                for generator, files in fetched:
                    self._make_one(generator, files, worker, bar)
                    self._write(finished=False)

    def _make_one(self, generator: _Generator, files: LocalFiles | FetchError, worker: Worker, bar: Task) -> None:
        """Make the rows of one generator; after a failure the others of it are not tried."""
        failure = f"fetch-failed: {files}" if isinstance(files, FetchError) else None
        for missing, rows in generator.calls():
            made: dict[int, tuple[Sample, bytes | None]] = {}
            if failure is None and not isinstance(files, FetchError):
                failure = self._sample(generator.entry, files, missing, rows, worker, made)
            for number, row in rows.items():
                if row.index in made:
                    self._results[number] = self._compared(number, row, *made[row.index])
                else:
                    self._results[number] = _row(number, row, result="not-made", detail=failure or "it was not sent")
            bar.advance(len(rows), note=f"{generator.entry.generator}: {len(rows)} rows")

    def _sample(
        self,
        entry: CatalogEntry,
        files: LocalFiles,
        missing: MissingRange,
        rows: dict[int, Sourced],
        worker: Worker,
        made: dict[int, tuple[Sample, bytes | None]],
    ) -> str | None:
        """Make samples and put those of `rows` into `made`; why it failed, None where it did not."""
        wanted = {row.index for row in rows.values()}

        def keep(samples: list[Sample], images: dict[int, bytes]) -> None:
            made.update({one.index: (one, images.get(one.index)) for one in samples if one.index in wanted})

        plan = next(iter(rows.values())).plan
        try:
            result = worker.sample(assignment_of(entry, plan, files, missing), keep)
        except ChildLostError as lost:
            return f"{lost.status}: {lost.detail}"
        if made.keys() >= wanted:
            return None
        return f"{result.status}: {result.detail}" if result.status != "done" else None

    def _compared(self, number: int, row: Sourced, made: Sample, content: bytes | None) -> RemadeRow:
        """The result of a row; its image is written, unless it is flagged or was."""
        comparison = compare(row.expected, made, row.stored_sha256)
        path = None
        if content is not None and row.expected.get("status") != "nsfw":
            path = self._folder.write_image(row.entry.generator, image_name(row.index), content)
        return _row(
            number,
            row,
            result=comparison.result,
            status=made.status,
            sha256=made.sha256,
            path=path,
            differences="; ".join(comparison.differences),
            detail=comparison.detail or self._sources.rows.damaged.get(row.entry.generator),
            device=made.device,
            libraries=made.libraries,
        )

    def _write(self, finished: bool) -> None:
        self._folder.write_results([self._results[number] for number in sorted(self._results)], finished)


def _row(number: int, row: Sourced, **values: Any) -> RemadeRow:
    return RemadeRow(
        number=number,
        given=row.given,
        generator=row.entry.generator,
        model_name=row.entry.model_name,
        revision=row.entry.revision,
        index=row.index,
        expected_status=row.expected.get("status"),
        expected_sha256=row.expected.get("sha256"),
        **values,
    )


def _identity(row: object) -> str:
    """A named row as text: two remakes are of the same rows if these are equal."""
    return repr(asdict(row))  # type: ignore[call-overload]
