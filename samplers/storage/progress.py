"""The progress of one generator, read from its rows: there is no other record of it.

Rows are in parts and, for the last few batches, in the folders of these (`batches`). A part or batch that cannot be
read counts as missing, and so do its rows: they are sampled again (`segment_progress`).
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samplers.sample import Memory, Sample, SampleStatus
from samplers.storage.batch_folder import read_batch
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace, batches_in, part_number, parts_in


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


#: The columns of `Row`.
COLUMNS = tuple(Row.__dataclass_fields__)


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A part or a batch on the disk: the rows of the samples [first, stop)."""

    path: Path
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


@dataclass(frozen=True, kw_only=True)
class GeneratorProgress:
    """Which part of a generator's plan is done."""

    parts: tuple[Stored, ...] = ()
    """In the order of their numbers, and so of their rows."""
    batches: tuple[Stored, ...] = ()
    """Those whose rows are not in a part yet."""
    leftovers: tuple[Path, ...] = ()
    """Folders of batches whose rows are in a part: a process was killed before it removed them."""
    damaged: tuple[Path, ...] = ()
    """Parts and batches that cannot be read."""

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


def progress_of(workspace: Workspace, generator: str) -> GeneratorProgress:
    """Read the progress of a generator. Raises `UsageError` for rows of another version, or that are not numbered."""
    folder = workspace.samples_of(generator)
    parts: list[Stored] = []
    batches: list[Stored] = []
    leftovers: list[Path] = []
    damaged: list[Path] = []
    for path in parts_in(folder):
        try:
            rows = _rows(records.read_table(path, Sample, COLUMNS).to_pylist())
            parts.append(Stored(path=path, number=part_number(path), rows=rows))
        except records.DamagedFileError:
            damaged.append(path)
    if any(before.stop > part.first for before, part in itertools.pairwise(parts)):
        raise UsageError(f"{folder}: two parts have rows of the same samples; restore it, or remove it to sample again")
    for first, path in batches_in(folder):
        if any(part.first <= first < part.stop for part in parts):
            leftovers.append(path)
            continue
        try:
            batches.append(Stored(path=path, number=first, rows=_rows(read_batch(path, COLUMNS))))
        except records.DamagedFileError:
            damaged.append(path)
    return GeneratorProgress(
        parts=tuple(parts), batches=tuple(batches), leftovers=tuple(leftovers), damaged=tuple(damaged)
    )


def _rows(rows: list[dict[str, Any]]) -> tuple[Row, ...]:
    found = tuple(Row(**row) for row in rows)
    if not found or [row.index for row in found] != list(range(found[0].index, found[0].index + len(found))):
        raise records.DamagedFileError("rows are missing")
    return found
