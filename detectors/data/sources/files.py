"""Image files of a folder or a list as a source: each is read once, for its sha256 and its facts, which are kept.

What was read is found again as long as no file's name, size or time of change differs. An image that lies beside
several generators is one image.
"""

import errno
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detectors.data.sources.source import GeneratorFacts, paired_in_order
from manifests.manifest import FAKE
from workspace import records
from workspace.layout import Workspace
from workspace.limited.pool import Pool
from workspace.limited.process import LimitError, Limits, LostError
from workspace.number_text import counted
from workspace.printable import in_line
from workspace.progress import task
from workspace.records import column
from workspace.regular_file import read_regular

#: What a file name ends with that is an image.
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm"})

#: Bytes of an image file at most.
LARGEST = 1 << 28
_LIMITS = Limits(processor=20, clock=300, memory=2 << 30, answer=1 << 20)
_AHEAD = 8


@dataclass(frozen=True, kw_only=True)
class FileRow:
    """What is known of a file."""

    path: str = column(pa.string(), "below the folder of the source")
    sha256: str | None = column(pa.string(), "null: it cannot be read", default=None)
    format: str | None = column(pa.string(), "as Pillow calls it; null: not an image", default=None)
    mode: str | None = column(pa.string(), "as the file has it", default=None)
    width: int | None = column(pa.int32(), "pixels", default=None)
    height: int | None = column(pa.int32(), "pixels", default=None)
    file_size: int | None = column(pa.int32(), "bytes", default=None)
    jpeg_quality: int | None = column(pa.int32(), "1 to 100; null: no JPEG", default=None)
    chroma_subsampling: str | None = column(pa.string(), "of a JPEG", default=None)
    progressive: bool | None = column(pa.bool_(), "of a JPEG", default=None)
    has_exif: bool | None = column(pa.bool_(), "whether it has EXIF data", default=None)
    has_icc: bool | None = column(pa.bool_(), "whether it has a colour profile", default=None)


@dataclass(frozen=True)
class ListedFile:
    """A file and what its place or its list says of it. `beside`: the name of what it was put together with."""

    path: str
    label: int
    generator: str | None = None
    beside: str = ""
    split: str | None = None
    architecture: str | None = None
    real_source: str | None = None


@dataclass
class FilesSource:
    """Files below a folder. `within`: the folder that they must be in after all links were followed; None: anywhere."""

    name: str
    root: Path
    files: Sequence[ListedFile]
    workspace: Workspace
    within: Path | None
    remarks: list[str] = field(default_factory=list)
    facts: Mapping[str, GeneratorFacts] = field(default_factory=dict)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The files in their order, without those that cannot be read and real images that were there before."""
        facts = self._read_facts()
        missing = pc.is_null(facts.column("format")).to_numpy()
        if missing.any():
            first = in_line(self.files[int(np.flatnonzero(missing)[0])].path)
            self.remarks.append(
                f"{self.name}: no image that can be read: {counted(int(missing.sum()), 'file')}, such as {first}"
            )
        columns: dict[str, Any] = {name: facts.column(name) for name in facts.column_names if name != "path"}
        columns["locator"] = facts.column("path")
        for name, kind in _LISTED.items():
            columns[name] = pa.array([getattr(file, name) for file in self.files], kind)
        table = pa.table(columns)
        table = table.append_column(
            "real_sha256",
            paired_in_order(
                [file.beside for file in self.files],
                table.column("label").to_numpy(),
                table.column("sha256").to_pylist(),
            ),
        )
        chosen = ~missing
        seen: set[str] = set()
        for place in np.flatnonzero(chosen & (table.column("label").to_numpy() != FAKE)).tolist():
            sha256 = table.column("sha256")[place].as_py()
            chosen[place] = sha256 not in seen
            seen.add(sha256)
        yield from table.filter(pa.array(chosen)).combine_chunks().to_batches()

    def generators(self) -> Mapping[str, GeneratorFacts]:
        """What the list says of them."""
        return self.facts

    def notes(self) -> Iterator[str]:
        """How the files were understood."""
        yield from self.remarks

    def read(self, locator: str) -> bytes:
        """A file, whole."""
        return read_image_file(self.root / locator, self.within)

    def _read_facts(self) -> pa.Table:
        """A row of `FileRow` for each file, from the workspace where nothing has changed."""
        digest = hashlib.sha256()
        for file in self.files:
            try:
                status = (self.root / file.path).stat()
                digest.update(json.dumps([file.path, status.st_size, status.st_mtime_ns]).encode())
            except OSError:
                digest.update(json.dumps([file.path]).encode())
        kept = self.workspace.detect / "sources" / f"{digest.hexdigest()[:32]}.parquet"
        if not kept.exists():
            with (
                Pool("detectors.data.sources.file_process", _LIMITS) as pool,
                task(f"reading {self.name}", total=len(self.files)) as progress,
            ):
                rows = []
                for row in pool.each(lambda path: self._described(pool, path), (f.path for f in self.files), _AHEAD):
                    rows.append(row)
                    progress.advance()
            records.write(kept, FileRow, rows)
        return records.read_table(kept, FileRow)

    def _described(self, pool: Pool, path: str) -> FileRow:
        try:
            content = self.read(path)
        except OSError:
            return FileRow(path=path)
        known: dict[str, Any] = {"sha256": hashlib.sha256(content).hexdigest(), "file_size": len(content)}
        try:
            return pool.ask({}, lambda answer, _: _checked(path, answer, known), content)
        except (LostError, LimitError):
            return FileRow(path=path, **known)


_LISTED = {
    "label": pa.int8(),
    "generator": pa.string(),
    "split": pa.string(),
    "architecture": pa.string(),
    "real_source": pa.string(),
}


def _checked(path: str, answer: dict[str, Any], known: dict[str, Any]) -> FileRow:
    """What a process answered, which may be wrong in any way: then `KeyError`, `TypeError` or `ValueError`."""
    if "unreadable" in answer:
        return FileRow(path=path, **known)
    row = FileRow(path=path, **known, **answer["facts"])
    records.to_table(FileRow, [row])  # raises a `ValueError` or a `TypeError`
    return row


def read_image_file(path: Path, within: Path | None = None) -> bytes:
    """A file, whole. Raises `OSError` also for one that is larger than any image."""
    content = read_regular(path, within, LARGEST + 1)
    if len(content) > LARGEST:
        raise OSError(errno.EFBIG, f"more than {LARGEST:,} bytes", str(path))
    return content


def is_image(path: str) -> bool:
    """Whether the name of a file is that of an image."""
    return PurePath(path).suffix.lower() in SUFFIXES
