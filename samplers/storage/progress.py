"""The progress of one generator, read from its rows: there is no other record of it.

Rows are in parts and, for the last few batches, in journals (`batches`), of several processes where these made the same
generator. A part or batch that cannot be read counts as missing, and so do its rows: they are sampled again
(`segment_progress`).
"""

import errno
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samplers.sample import Memory, Sample, SampleStatus
from samplers.storage.batches import rows_of_batches
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace, part_number, sample_files


@dataclass(frozen=True, kw_only=True)
class Row:
    """What progress depends on, of one sample."""

    index: int
    revision: str
    status: SampleStatus
    call_size: int | None
    memory: Memory | None
    cpu_threads: int | None
    image_name: str | None
    sha256: str | None
    file_size: int | None


#: Looks at a folder in which other processes put journals into parts, until one of them finds all that it lists.
_LOOKS = 10

#: The columns of `Row`.
COLUMNS = tuple(Row.__dataclass_fields__)


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A part or a batch on the disk: the rows of the samples [first, stop)."""

    path: Path
    """Of the part, or of the journal that has the batch."""
    number: int
    """Of the part; of a batch: the index of its first sample."""
    rows: tuple[Row, ...]

    @property
    def first(self) -> int:
        """The index of the first row."""
        return self.rows[0].index

    @property
    def stop(self) -> int:
        """The index after the last row."""
        return self.rows[-1].index + 1


@dataclass(frozen=True)
class ReadJournal:
    """A journal as far as it was read."""

    path: Path
    batches: tuple[Stored, ...]
    length: int
    """Bytes of what was read."""


@dataclass(frozen=True, kw_only=True)
class GeneratorProgress:
    """Which part of a generator's plan is done."""

    parts: tuple[Stored, ...] = ()
    """In the order of their numbers, and so of their rows."""
    batches: tuple[Stored, ...] = ()
    """Those whose rows are not in a part yet, one of those with the same samples."""
    journals: tuple[ReadJournal, ...] = ()
    """The journals of all processes; none is needed when the generator is complete and all rows are in parts."""
    leftovers: tuple[Path, ...] = ()
    """Journals, and prepared parts, all of which is in parts: a process was killed before it removed them."""
    damaged: tuple[Path, ...] = ()
    """Parts that cannot be read, and prepared parts (`generator_store`) whose images are in no journal."""

    @property
    def rows(self) -> Iterator[Row]:
        """All rows by their index."""
        for stored in sorted((*self.parts, *self.batches), key=lambda one: one.first):
            yield from stored.rows

    @property
    def tries(self) -> int:
        """Samples made, kept or rejected."""
        return sum(len(stored.rows) for stored in (*self.parts, *self.batches))

    @property
    def kept(self) -> frozenset[str]:
        """The sha256 of every image kept: duplicates count once."""
        return frozenset(row.sha256 for row in self.rows if row.sha256 is not None)

    @property
    def revision(self) -> str | None:
        """The revision that was sampled; None before the first row."""
        return next((row.revision for row in self.rows), None)


def progress_of(
    workspace: Workspace, generator: str, known: GeneratorProgress = GeneratorProgress()
) -> GeneratorProgress:
    """Read the progress of a generator; what is `known` of it is not read again, as far as it still exists.

    Raises `UsageError` for rows of another version, or that are not numbered.
    """
    folder = workspace.samples_of(generator)
    for _ in range(_LOOKS):
        # Another process makes parts of journals meanwhile: what was listed as one of them may be the other now.
        with suppress(FileNotFoundError):
            return _look(folder, known)
    return _look(folder, known, last=True)


def _look(folder: Path, known: GeneratorProgress, last: bool = False) -> GeneratorProgress:
    """The progress by one listing of the folder. Raises `FileNotFoundError` where something of it is gone, unless it is
    the `last` look: then that is missing."""
    files = sample_files(folder)
    damaged = [path for path in files.parts if path in known.damaged]
    parts = _readable((path for path in files.parts if path not in damaged), known.parts, damaged, last)
    if any(before.stop > part.first for before, part in itertools.pairwise(parts)):
        raise UsageError(f"{folder}: two parts have rows of the same samples; restore it, or remove it to sample again")
    prepared = _readable(files.prepared, (), damaged, last)
    decided = {row.index: row for part in prepared for row in part.rows}
    read = {journal.path: journal for journal in known.journals}
    journals = tuple(_journal(path, read.get(path), last) for path in (*files.journals, *files.batches))
    of_no_part = [batch for journal in journals for batch in journal.batches if not _are_in(batch, parts)]
    batches = _counting(of_no_part, decided)
    made = {row.index: row for batch in batches for row in batch.rows}
    leftovers = [
        journal.path
        for journal in journals
        if journal.batches and all(_are_in(batch, parts) for batch in journal.batches)
    ]
    for part in prepared:
        if _are_in(part, parts):
            leftovers.append(part.path)
        elif any(made.get(row.index) != row for row in part.rows):
            damaged.append(part.path)
    return GeneratorProgress(
        parts=tuple(parts),
        batches=batches,
        journals=journals,
        leftovers=tuple(leftovers),
        damaged=tuple(damaged),
    )


def _readable(paths: Iterable[Path], known: Iterable[Stored], damaged: list[Path], missing_ok: bool) -> list[Stored]:
    """The parts that can be read; `damaged` gets the others."""
    read = {part.path: part for part in known}
    parts: list[Stored] = []
    for path in paths:
        if path in read:
            parts.append(read[path])
            continue
        try:
            rows = _rows(records.read_table(path, Sample, COLUMNS).to_pylist())
            parts.append(Stored(path=path, number=part_number(path), rows=rows))
        except records.DamagedFileError:
            if path.exists():
                damaged.append(path)
            elif not missing_ok:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None
    return parts


def _journal(path: Path, known: ReadJournal | None, missing_ok: bool) -> ReadJournal:
    """A journal, of which only what is new is read."""
    batches, length = ([*known.batches], known.length) if known is not None else ([], 0)
    try:
        for rows, stop in rows_of_batches(path, COLUMNS, length):
            length = stop
            with suppress(records.DamagedFileError):
                batch = _rows(rows)
                batches.append(Stored(path=path, number=batch[0].index, rows=batch))
    except FileNotFoundError:
        if not missing_ok:
            raise
    return ReadJournal(path, tuple(batches), length)


def _are_in(stored: Stored, parts: Sequence[Stored]) -> bool:
    return any(part.first <= stored.first < part.stop for part in parts)


def _counting(batches: Iterable[Stored], decided: Mapping[int, Row]) -> tuple[Stored, ...]:
    """Of several batches with the same samples one: that of a part that is prepared, else the longest, of equal ones
    the first by its journal's name."""

    def order(batch: Stored) -> tuple[int, bool, int]:
        return batch.first, any(decided.get(row.index) != row for row in batch.rows), -len(batch.rows)

    found: list[Stored] = []
    for batch in sorted(batches, key=order):
        if not found or batch.first >= found[-1].stop:
            found.append(batch)
    return tuple(found)


def _rows(rows: list[dict[str, Any]]) -> tuple[Row, ...]:
    found = tuple(Row(**row) for row in rows)
    if not found or [row.index for row in found] != list(range(found[0].index, found[0].index + len(found))):
        raise records.DamagedFileError("rows are missing")
    return found
