"""Planning: which images of the manifest are in which shard, before anything is packed.

A shard has the rows of one round, whose number is in its name: a later round adds shards and changes none. Where a
shard ends is decided by the images themselves (content-defined borders): whether an image is the last one
depends on its sha256 alone, with a fixed probability. So rows that are added move the borders around them and no
others; and a shard's name, which is a hash of its rows, tells before anything is packed whether the Hub has it. The
manifest is read once, a few thousand rows at a time.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from manifests.images import ImageReader, changed_file
from manifests.manifest import iterate_manifest
from manifests.publishing.layouts import Layout
from manifests.publishing.published import published_split
from workspace.errors import is_refusal
from workspace.hub_access import HubAccess
from workspace.layout import Workspace

#: Increased whenever the same rows would be packed into other bytes, so that old shards are not taken for new ones.
VERSION = 2

#: What the Hub's viewer shows well (it refuses row groups above about 286 MiB, which large images reach first).
ROW_GROUP_ROWS = 100
ROW_GROUP_BYTES = 128 << 20

#: Bytes of Parquet's own tables for a row group, at most: its part of the footer and its page indexes. 27 kB were
#: measured for the 49 columns of the viewer's layout.
_GROUP_OVERHEAD = 40_000

#: A shard may end from this share of the largest size on; twice this share is then the mean size. It is small, so that
#: nearly every border is set by an image; a border that the largest size forces moves with the rows before it.
_SMALLEST = 0.15


@dataclass(frozen=True)
class PlannedShard:
    """The rows of one shard: `rows` rows that the published split `split` has of one round, from row number `start` on.

    `size` has the bytes of its rows, `image_bytes` those of the images among them.
    """

    split: str
    round: int
    digest: str
    start: int
    rows: int
    size: int
    image_bytes: int

    @property
    def path(self) -> str:
        """Its path in the dataset's repository."""
        return f"data/{self.split}-r{self.round:02d}-{self.digest[:20]}.parquet"

    @property
    def file_size(self) -> int:
        """Bytes of its file at most."""
        groups = 1 + self.rows // ROW_GROUP_ROWS + self.image_bytes // ROW_GROUP_BYTES
        return self.size + groups * _GROUP_OVERHEAD


def split_of(path: str) -> str:
    """The published split of a shard, by the path that `PlannedShard` gave it."""
    return path.rpartition("/")[2].rsplit("-", 2)[0]


def plan_shards(
    workspace: Workspace, layout: Layout, max_bytes: int, hub: HubAccess = HubAccess()
) -> list[PlannedShard]:
    """Divide the published images into shards of at most `max_bytes`, by split and round and in the manifest's order.

    Raises `UsageError` without a manifest, `CommunityForensicsError` when an image's file is missing.
    """
    images = ImageReader(workspace, hub)
    plans: dict[tuple[str, int], _SplitPlan] = {}
    for batch in iterate_manifest(workspace):
        names = published_split(batch)
        for name in pc.unique(names.drop_null()).to_pylist():
            of_split = pa.Table.from_batches([batch]).filter(pc.equal(names, name))
            for made_in in pc.unique(of_split.column("round")).to_pylist():
                rows = of_split.filter(pc.equal(of_split.column("round"), made_in))
                plan = plans.setdefault((name, made_in), _SplitPlan(name, made_in, layout, max_bytes))
                plan.add(rows, file_sizes(images, rows))
    return [shard for key in sorted(plans) for shard in plans[key].finish()]


def empty_shards(layout: Layout, shards: Sequence[PlannedShard]) -> list[PlannedShard]:
    """Shards without rows for the splits that the layout always has and that these shards lack."""
    present = {shard.split for shard in shards}
    return [_SplitPlan(name, 1, layout, 0).empty() for name in layout.splits if name not in present]


def file_sizes(images: ImageReader, rows: pa.Table) -> list[int]:
    """Bytes of each row's file: as the row says, or else as the file system does.

    Raises `CommunityForensicsError` when a file is missing.
    """
    known = zip(rows.column("path").to_pylist(), rows.column("file_size").to_pylist(), strict=True)
    return [_size(images, path) if size is None else size for path, size in known]


class _SplitPlan:
    """The shards of one split and round, planned as its rows come."""

    def __init__(self, split: str, made_in: int, layout: Layout, max_bytes: int) -> None:
        self._split, self._round, self._layout, self._max_bytes = split, made_in, layout, max_bytes
        self._shards: list[PlannedShard] = []
        self._open(0)

    def add(self, rows: pa.Table, sizes: Iterable[int]) -> None:
        """Add the next rows, and the sizes of their files in bytes."""
        hashes = rows.column("sha256").to_pylist()
        smallest = _SMALLEST * self._max_bytes
        for facts, sha256, image_size in zip(self._layout.facts(rows).to_pylist(), hashes, sizes, strict=True):
            text = json.dumps([sha256, facts]).encode()
            row_size = image_size + len(text)
            if self._rows and self._size + row_size > self._max_bytes:
                self._close()
            self._digest.update(text)
            self._rows += 1
            self._size += row_size
            self._image_bytes += image_size
            # The probability grows with the row's size, so that a shard's expected size does not depend on that of its
            # images.
            position = int(sha256[:16], 16) / 2**64
            if self._size >= smallest and position < row_size / smallest:
                self._close()

    def finish(self) -> list[PlannedShard]:
        """All shards, after the last row."""
        if self._rows:
            self._close()
        return self._shards

    def empty(self) -> PlannedShard:
        """A shard without rows."""
        self._close()
        return self._shards[0]

    def _open(self, start: int) -> None:
        self._digest: Any = hashlib.sha256(
            f"{VERSION} {self._layout.name}\n{self._layout.schema.to_string()}\n".encode()
        )
        self._start, self._rows, self._size, self._image_bytes = start, 0, 0, 0

    def _close(self) -> None:
        digest = self._digest.hexdigest()
        shard = PlannedShard(
            split=self._split,
            round=self._round,
            digest=digest,
            start=self._start,
            rows=self._rows,
            size=self._size,
            image_bytes=self._image_bytes,
        )
        self._shards.append(shard)
        self._open(self._start + self._rows)


def _size(images: ImageReader, path: str) -> int:
    try:
        return images.size(path)
    except OSError as error:
        if is_refusal(error):
            raise
        raise changed_file(path, error.strerror or "cannot be read") from error
