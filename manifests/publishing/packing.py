"""Packing: the manifest's images as Parquet shards that `datasets`, pandas, DuckDB and the Hub's viewer read.

Row groups are small and have a page index, because the viewer refuses large ones. The column of images is neither
compressed nor dictionary-encoded: images are compressed already, and a store that divides files by content (Xet) finds
in the new file what it has of the old one. For the same reason each image is a page of its own, so that a page's header
changes with its image and not with its neighbours.

The files of a group are read by several threads straight into the column of images, and the sha256 of each is compared
with its row; meanwhile the group before is written. So the memory is that of two groups, whatever the dataset's size.
"""

from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engines.engine import Engine
from manifests.images import ImageReader, changed_file
from manifests.manifest import iterate_manifest
from manifests.publishing.layouts import Layout, layout_of
from manifests.publishing.planning import ROW_GROUP_BYTES, ROW_GROUP_ROWS, PlannedShard, file_sizes
from manifests.publishing.published import published_split
from manifests.reading_threads import ReadingThreads
from workspace import records
from workspace.atomic import atomic_path
from workspace.hub_access import HubAccess
from workspace.layout import Workspace

#: Rows of the manifest that are read at a time.
_BATCH_ROWS = 2_000
#: A page ends with the first value that reaches this many bytes: after every image, but not within a row's texts.
_PAGE_BYTES = 4 << 10


def pack_shards(
    workspace: Workspace, layout: Layout, shards: Collection[PlannedShard], folder: Path, hub: HubAccess = HubAccess()
) -> Iterator[tuple[PlannedShard, Path]]:
    """Write these shards to `folder`, one after the other, each when the caller asks for it.

    Raises `CommunityForensicsError` when an image's file is not what its row says.
    """
    images, options = ImageReader(workspace, hub), _writer_options(layout)
    for split, made_in in dict.fromkeys((shard.split, shard.round) for shard in shards):
        rows = _Rows(workspace, split, made_in)
        for shard in (shard for shard in shards if (shard.split, shard.round) == (split, made_in)):
            path = folder / Path(shard.path).name
            with (
                atomic_path(path) as temporary,
                pq.ParquetWriter(temporary, layout.schema, **options) as writer,
                ReadingThreads() as threads,
            ):
                for group, contents in _read(images, threads, _groups(images, rows.of(shard))):
                    writer.write_table(layout.table(group, contents), row_group_size=len(group))
                    del group, contents  # before a third group is read
            yield shard, path


def pack_on(
    engine: Engine,
    workspace: Workspace,
    layout: Layout,
    shards: Collection[PlannedShard],
    folder: Path,
    hub: HubAccess = HubAccess(),
) -> Iterator[tuple[PlannedShard, Path]]:
    """Write these shards in the processes of an engine, which see the folder; each when it is written. Errors as
    `pack_shards`."""
    calls = [_Shard(workspace, layout.name, shard, folder.absolute(), hub) for shard in shards]
    for call, path in engine.run(pack_shard, calls):
        yield call.shard, path


@dataclass(frozen=True)
class _Shard:
    """What a process of an engine is told."""

    workspace: Workspace
    layout: str
    shard: PlannedShard
    folder: Path
    hub: HubAccess


def pack_shard(call: _Shard) -> Path:
    """Write one shard; returns its file."""
    ((_, path),) = pack_shards(call.workspace, layout_of(call.layout), [call.shard], call.folder, call.hub)
    return path


class _Rows:
    """The published rows of one split and round, read in order."""

    def __init__(self, workspace: Workspace, split: str, made_in: int) -> None:
        self._batches = self._of_split(workspace, split, made_in)
        self._left = pa.table({})
        self._at = 0

    def of(self, shard: PlannedShard) -> Iterator[pa.Table]:
        """The rows of a shard, which must not start before the end of the last one."""
        for _ in self._take(shard.start - self._at):
            pass
        yield from self._take(shard.rows)

    def _take(self, count: int) -> Iterator[pa.Table]:
        while count:
            if not len(self._left):
                self._left = next(self._batches)
            some = self._left.slice(0, count)
            self._left = self._left.slice(len(some))
            self._at += len(some)
            count -= len(some)
            yield some

    @staticmethod
    def _of_split(workspace: Workspace, split: str, made_in: int) -> Iterator[pa.Table]:
        for batch in iterate_manifest(workspace, _BATCH_ROWS):
            chosen = pc.and_(pc.equal(published_split(batch), split), pc.equal(batch.column("round"), made_in))
            yield pa.Table.from_batches([batch]).filter(chosen)


@dataclass(frozen=True)
class _Group:
    """Rows of one row group, and the sizes of their files."""

    rows: pa.Table
    sizes: list[int]


def _groups(images: ImageReader, tables: Iterable[pa.Table]) -> Iterator[_Group]:
    """Rows collected into groups of at most `ROW_GROUP_ROWS` and `ROW_GROUP_BYTES`, an image larger than that alone."""
    parts: list[pa.Table] = []
    sizes: list[int] = []
    for table in tables:
        start = 0
        for at, size in enumerate(file_sizes(images, table)):
            if sizes and (len(sizes) == ROW_GROUP_ROWS or sum(sizes) + size > ROW_GROUP_BYTES):
                yield _Group(pa.concat_tables([*parts, table.slice(start, at - start)]), sizes)
                parts, sizes, start = [], [], at
            sizes.append(size)
        parts.append(table.slice(start))
    if sizes:
        yield _Group(pa.concat_tables(parts), sizes)


def _read(
    images: ImageReader, threads: ReadingThreads, groups: Iterable[_Group]
) -> Iterator[tuple[pa.Table, pa.Array]]:
    """Each group's rows with the bytes of their files. The next group is read while the caller uses this one."""
    before: tuple[pa.Table, pa.Array, list[Future[None]]] | None = None
    for group in groups:
        started = _start(images, threads, group)
        if before is not None:
            yield _finish(*before)
        before = started
    if before is not None:
        yield _finish(*before)


def _start(
    images: ImageReader, threads: ReadingThreads, group: _Group
) -> tuple[pa.Table, pa.Array, list[Future[None]]]:
    """Start reading a group's files into one array, each at its place."""
    ends = np.array([0, *accumulate(group.sizes)], dtype=np.int32)
    data = pa.allocate_buffer(int(ends[-1]))
    contents = pa.Array.from_buffers(pa.binary(), len(group.sizes), [None, pa.py_buffer(ends), data])
    places = memoryview(data).cast("B")
    rows = zip(group.rows.column("path").to_pylist(), group.rows.column("sha256").to_pylist(), strict=True)
    reading = [
        threads.submit(path, _read_one, images, path, sha256, places[start:end])
        for (path, sha256), (start, end) in zip(rows, pairwise(ends.tolist()), strict=True)
    ]
    return group.rows, contents, reading


def _finish(rows: pa.Table, contents: pa.Array, reading: list[Future[None]]) -> tuple[pa.Table, pa.Array]:
    for one in reading:
        one.result()
    return rows, contents


def _read_one(images: ImageReader, path: str, sha256: str, place: memoryview) -> None:
    content = images.read_unchanged(path, sha256)
    if len(content) != len(place):
        raise changed_file(path, "its size differs")
    place[:] = content


def _writer_options(layout: Layout) -> dict[str, Any]:
    leaves = records.leaves(layout.schema)
    plain = [leaf for leaf in leaves if leaf != layout.leaf]
    return {
        "compression": {leaf: "zstd" if leaf in plain else "none" for leaf in leaves},
        "use_dictionary": plain,
        "write_statistics": plain,
        "write_page_index": True,
        "data_page_size": _PAGE_BYTES,
        "write_batch_size": 1,
    }
