"""Stores images that others made as samples of a generator: examined, checked, in batches and parts, resumable.

As in sampling, what is finished is known from the rows: a run that was killed is started again, and continues after
the last whole batch. An image file that is damaged on the disk is written once more from the same bytes, where the
source still has them. Which images look alike is decided by those of lower indices, so it does not depend on
interruptions.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, TypeAlias

from crawler.catalog import CatalogEntry
from engines.claims import Claims
from samplers.foreign.examiner import Examined, Examiner
from samplers.foreign.image import ForeignImage
from samplers.foreign.rows import file_columns, row_of
from samplers.foreign.similarity import SimilarImages
from samplers.outcomes import Outcome, final_status, read_outcome, with_history, write_outcome
from samplers.planning.segments import Segment, images_owed
from samplers.sample import Origin, Sample
from samplers.storage.batches import rows_of_batches
from samplers.storage.damage import damaged_images, without_damaged_parts
from samplers.storage.generator_store import GeneratorStore
from samplers.storage.missing_ranges import MissingRange, next_range
from samplers.storage.progress import progress_of
from workspace import records
from workspace.layout import Workspace, sample_files

#: Gives the images of the samples [first, stop), in order; it may end earlier, such as where no more may be paid for.
Source: TypeAlias = Callable[[int, int], Iterable[ForeignImage]]

_LOOKED_AT = ("index", "sha256", "perceptual_hash")


@dataclass(frozen=True)
class Stored:
    """What became of the images of one generator."""

    outcome: Outcome | None
    """None: the source ended before all were stored."""
    statuses: Mapping[str, int] = field(default_factory=dict)
    """All rows by status, those of earlier runs too."""
    new: int = 0
    """Rows of this run."""


def store_foreign(
    workspace: Workspace,
    claims: Claims,
    entry: CatalogEntry,
    segments: Sequence[Segment],
    source: Source,
    examiner: Examiner,
    *,
    origin: Origin,
    similar: int | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Stored:
    """Store what is missing of a generator's segments; the caller has its claim.

    `similar`: an image whose perceptual hash differs in at most so many bits from that of an earlier one is not kept;
    None: all are. `advance` is called with the rows that are stored, after each batch. Raises `OSError` where the
    workspace cannot be written, `TakenOverError`, `NotReproducibleError` where an image is damaged and the source gives
    another one, `CommunityForensicsError` without a working safety checker, and what `source` raises.
    """
    name, store_kind = entry.generator, segments[0].recipe.store
    read_after = 0.0
    with suppress(FileNotFoundError):
        # Nothing is written after the outcome, unless somebody changes it.
        read_after = workspace.outcome_of(name).stat().st_mtime
    progress = without_damaged_parts(progress_of(workspace, name), read_after)
    damaged = damaged_images(workspace, name, progress, store_kind, read_after)
    store = GeneratorStore(workspace, name, segments, claims.process.path, progress, lambda: claims.check(name))
    alike = None if similar is None else _alike(workspace, name, similar)
    new, mended, ended = 0, bool(damaged), False
    while not ended and (missing := next_range(store.progress, damaged, segments)) is not None:
        made = missing.first
        for rows, images in _batches(entry, missing, source, examiner, origin, alike):
            made = rows[-1].index + 1
            if missing.damaged:
                store.repair(rows, images, missing.damaged)
            else:
                store.add(rows, images)
                new += len(rows)
            if workspace.remote is not None:
                workspace.remote.send(name)
            advance(len(rows))
        damaged -= missing.damaged
        reached = missing.images is not None and len(store.progress.kept) >= missing.images
        ended = made < missing.stop and not reached
    store.finish()
    outcome = read_outcome(workspace, name)
    if ended:
        outcome = None
    elif new or mended or outcome is None or outcome.revision != entry.revision:
        kept, tries = len(store.progress.kept), store.progress.tries
        # An import is done when all files are looked at, however many are kept.
        status, detail = final_status(kept, images_owed(segments), tries) if origin == "delivered" else ("done", None)
        outcome = Outcome(
            model_name=entry.model_name,
            revision=entry.revision,
            further_revision=entry.further_revision,
            round=segments[-1].recipe.round,
            status=status,
            detail=detail,
            kept=kept,
            tries=tries,
            walls=examiner.walls,
        )
        outcome = with_history(outcome, read_outcome(workspace, entry.generator))
        write_outcome(workspace, outcome)
    return Stored(outcome, Counter(row.status for row in store.progress.rows), new)


def _batches(
    entry: CatalogEntry,
    missing: MissingRange,
    source: Source,
    examiner: Examiner,
    origin: Origin,
    alike: SimilarImages | None,
) -> Iterator[tuple[list[Sample], dict[int, bytes]]]:
    """The rows and files of a range, batch by batch, counted from the first sample of the segment."""
    recipe, kept, at = missing.segment.recipe, set(missing.kept), missing.first
    images = iter(source(missing.first, missing.stop))
    while at < missing.stop:
        size = min(missing.segment.batch_start(at) + recipe.batch_size, missing.stop) - at
        some = list(islice(images, size))
        files = [(image.content, image.suffix) for image in some if image.content is not None]
        found = iter(examiner.examine(files) if files else [])
        rows: list[Sample] = []
        contents: dict[int, bytes] = {}
        for index, image in enumerate(some, start=at):
            if missing.images is not None and len(kept) >= missing.images:
                break
            examined = None if image.content is None else next(found)
            row = row_of(entry, recipe.round, index, origin, image, examined)
            if isinstance(examined, Examined) and row.status == "ok":
                row = _with_file(row, image, examined, index, None if missing.damaged else alike)
            if row.sha256 is not None:
                kept.add(row.sha256)
                contents[index] = image.content or b""
            rows.append(row)
        if rows:
            yield rows, contents
        at += len(rows)
        if len(rows) < size:
            return


def _with_file(row: Sample, image: ForeignImage, found: Examined, index: int, alike: SimilarImages | None) -> Sample:
    """The row of an image that is kept, or that it looks as an earlier one; of equal files the first counts, later."""
    columns = file_columns(image, found, index)
    if alike is not None and row.perceptual_hash is not None:
        earlier = alike.find(index, columns["sha256"], row.perceptual_hash)
        if earlier is not None:
            return replace(row, status="similar", similar_to=earlier)
        alike.add(index, columns["sha256"], row.perceptual_hash)
    return replace(row, **columns)


def _alike(workspace: Workspace, generator: str, distance: int) -> SimilarImages:
    """The hashes of the images that are kept so far."""
    found = SimilarImages(distance)
    files = sample_files(workspace.samples_of(generator))
    rows: dict[int, dict[str, Any]] = {}
    for path in (*files.journals, *files.batches):
        with suppress(FileNotFoundError):
            for batch, _ in rows_of_batches(path, _LOOKED_AT):
                rows |= {row["index"]: row for row in batch}
    for path in files.parts:
        with suppress(records.DamagedFileError):
            rows |= {row["index"]: row for row in records.read_table(path, Sample, _LOOKED_AT).to_pylist()}
    for index in sorted(rows):
        row = rows[index]
        if row["sha256"] is not None and row["perceptual_hash"] is not None:
            found.add(index, row["sha256"], row["perceptual_hash"])
    return found
