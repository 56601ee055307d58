"""Packing: the manifest's images as Parquet shards that `datasets`, pandas, DuckDB and the Hub's viewer read.

A shard holds the column `image` (the layout of `datasets`' Image: the file's bytes, untouched, and its name) and the
manifest's columns. Row groups are small and have a page index, because the viewer refuses large ones. The image
column is neither compressed nor dictionary-encoded: pictures are compressed already, and a store that cuts by content
(Xet) finds in the new file what it knows from the old one.

Where a shard ends is decided by the images themselves: each has a chance to be the last that hangs on its sha256
alone. So rows that are added move the borders around them and no others, and a shard's name, which is a hash of
its rows, tells before anything is packed whether it is on the Hub already. Planning and packing stream: neither holds
more than a row group.
"""

import hashlib
import json
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from manifests.images import ImageReader
from manifests.manifest import FAKE, REAL, ManifestRow, iterate_manifest
from samplers.sample import ImageFile
from workspace import records
from workspace.atomic import atomic_path
from workspace.errors import CommunityForensicsError
from workspace.layout import Workspace

#: What the Hub's viewer shows well (it refuses row groups above about 286 MiB, which large images reach first).
ROW_GROUP_ROWS = 100
ROW_GROUP_BYTES = 128 << 20

#: Changes whenever the same rows would be packed into other bytes, so that old shards are not taken for new ones.
LAYOUT = 1

#: A shard may end from this share of the largest size on; half of the largest is then the mean size.
_SMALLEST = 0.25

#: The published split of the evaluation set, as the study calls it.
EVALUATION = "PublicEval"

#: Files read and hashed together.
_THREADS = 8

# A path on the machine that captioned says nothing to a reader; `image.path` has the file's name.
_NOT_PUBLISHED = ("path",)


@dataclass(frozen=True)
class PlannedShard:
    """Rows that make up one shard: the `rows` rows of `split` from the `start`-th published one on."""

    split: str
    digest: str
    start: int
    rows: int
    image_bytes: int

    @property
    def path(self) -> str:
        """Where it lies in the dataset's repository."""
        return f"data/{self.split}-{self.digest[:20]}.parquet"


def shard_schema() -> pa.Schema:
    """The columns of a shard, with the `datasets` features that tell readers which of them is an image."""
    columns = [field for field in records.schema(ManifestRow) if field.name not in _NOT_PUBLISHED]
    schema = pa.schema([pa.field("image", pa.struct(list(records.schema(ImageFile)))), *columns])
    features = {field.name: _feature(field.type) for field in schema} | {"image": {"_type": "Image"}}
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def plan_shards(workspace: Workspace, max_bytes: int) -> list[PlannedShard]:
    """How the manifest's images are divided into shards of at most `max_bytes`, by split and in the manifest's order.

    Raises `UsageError` without a manifest, `CommunityForensicsError` when an image's file is gone.
    """
    return [shard for split in _splits(workspace) for shard in _plan_split(workspace, split, max_bytes)]


def pack_shards(
    workspace: Workspace, wanted: Collection[PlannedShard], folder: Path
) -> Iterator[tuple[PlannedShard, Path]]:
    """Write the wanted shards to `folder`, one after the other, each when it is asked for.

    Raises `CommunityForensicsError` when a file is not the one its row speaks of.
    """
    schema, options = shard_schema(), _writer_options(shard_schema())
    images = ImageReader(workspace)
    for split in dict.fromkeys(shard.split for shard in wanted):
        rows, at = _published_rows(workspace, split), 0
        for shard in (shard for shard in wanted if shard.split == split):
            for _ in range(shard.start - at):
                next(rows)
            at = shard.start + shard.rows
            path = folder / Path(shard.path).name
            with (
                atomic_path(path) as temporary,
                pq.ParquetWriter(temporary, schema, **options) as writer,
                ThreadPoolExecutor(_THREADS) as threads,
            ):
                for group in _row_groups(images, (next(rows) for _ in range(shard.rows))):
                    contents = threads.map(lambda row: _content(images, row), group)
                    packed = [
                        row | {"image": {"bytes": content, "path": row["image_name"]}}
                        for row, content in zip(group, contents, strict=True)
                    ]
                    writer.write_table(pa.Table.from_pylist(packed, schema=schema), row_group_size=len(packed))
            yield shard, path


def unpublished_real_images(workspace: Workspace) -> pa.Table:
    """The real images whose pixels stay at home: what they are and where their caption came from."""
    columns = ["real_source", "real_id", "real_sha256", "license", "prompt", "caption_origin", "captioner"]
    columns += ["format", "width", "height"]
    batches = [batch.filter(_listed(batch)).select(columns) for batch in iterate_manifest(workspace)]
    return pa.Table.from_batches(batches).combine_chunks()


def _listed(batch: pa.RecordBatch) -> pa.BooleanArray:
    """Which rows are real images that only a list tells of."""
    may_be_passed_on = pc.fill_null(batch.column("redistributable"), False)
    return pc.and_(pc.equal(batch.column("label"), REAL), pc.invert(may_be_passed_on))


def _splits(workspace: Workspace) -> list[str]:
    found: set[str] = set()
    for batch in iterate_manifest(workspace):
        found.update(pc.unique(_split_of(batch).filter(_publishable(batch))).to_pylist())
    return sorted(found)


def _split_of(batch: pa.RecordBatch) -> pa.Array:
    """The published split of each row: its subset, or the evaluation set's; null for what is in neither."""
    split = pc.fill_null(batch.column("split"), "")
    training = pc.if_else(pc.equal(split, "train"), batch.column("subset"), pa.scalar(None, pa.string()))
    return pc.if_else(pc.equal(split, "test"), EVALUATION, training)


def _publishable(batch: pa.RecordBatch) -> pa.BooleanArray:
    """Which rows are published with their pixels: generated images, and real ones that may be passed on."""
    may_be_passed_on = pc.fill_null(batch.column("redistributable"), False)
    pixels = pc.or_(pc.equal(batch.column("label"), FAKE), may_be_passed_on)
    return pc.and_(pixels, pc.is_valid(batch.column("split")))


def _published_rows(workspace: Workspace, split: str) -> Iterator[dict[str, Any]]:
    for batch in iterate_manifest(workspace):
        chosen = pc.and_(_publishable(batch), pc.fill_null(pc.equal(_split_of(batch), split), False))
        yield from batch.filter(chosen).to_pylist()


def _plan_split(workspace: Workspace, split: str, max_bytes: int) -> Iterator[PlannedShard]:
    digest, start, rows, size, image_bytes = _new_digest(), 0, 0, 0, 0
    images = ImageReader(workspace)

    def planned() -> PlannedShard:
        return PlannedShard(split, digest.hexdigest(), start, rows, image_bytes)

    for row in _published_rows(workspace, split):
        text = json.dumps({name: row[name] for name in row if name not in _NOT_PUBLISHED}).encode()
        image_size = _size(images, row)
        row_size = image_size + len(text)
        if rows and size + row_size > max_bytes:
            yield planned()
            digest, start, rows, size, image_bytes = _new_digest(), start + rows, 0, 0, 0
        digest.update(text)
        rows, size, image_bytes = rows + 1, size + row_size, image_bytes + image_size
        # The chance grows with the row's size, so that a shard's expected size does not hang on that of its images.
        chance = int(row["sha256"][:16], 16) / 2**64
        if size >= _SMALLEST * max_bytes and chance < row_size / (_SMALLEST * max_bytes):
            yield planned()
            digest, start, rows, size, image_bytes = _new_digest(), start + rows, 0, 0, 0
    if rows:
        yield planned()


def _new_digest() -> Any:
    return hashlib.sha256(f"layout {LAYOUT}\n{shard_schema().to_string(show_field_metadata=False)}\n".encode())


def _size(images: ImageReader, row: dict[str, Any]) -> int:
    try:
        return images.size(row["path"])
    except OSError as error:
        raise _changed(row, error.strerror or "cannot be read") from error


def _content(images: ImageReader, row: dict[str, Any]) -> bytes:
    try:
        content = images.read(row["path"])
    except OSError as error:
        raise _changed(row, error.strerror or "cannot be read") from error
    if hashlib.sha256(content).hexdigest() != row["sha256"]:
        raise _changed(row, "its sha256 is another one")
    return content


def _changed(row: dict[str, Any], what: str) -> CommunityForensicsError:
    return CommunityForensicsError(
        f"{row['path']} is not the file the manifest speaks of ({what}): run `cf-build-manifest --verify full`, "
        "which names all such files"
    )


def _row_groups(images: ImageReader, rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        row_size = _size(images, row)
        if group and (len(group) == ROW_GROUP_ROWS or size + row_size > ROW_GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(row)
        size += row_size
    if group:
        yield group


def _writer_options(schema: pa.Schema) -> dict[str, Any]:
    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink)
    leaves = [column.path for column in pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema]
    plain = [leaf for leaf in leaves if leaf != "image.bytes"]
    return {
        "compression": {leaf: "zstd" if leaf in plain else "none" for leaf in leaves},
        "use_dictionary": plain,
        "write_statistics": plain,
        "write_page_index": True,
    }


def _feature(arrow_type: pa.DataType) -> dict[str, Any]:
    """A column's type as `datasets` writes it into the schema."""
    if pa.types.is_list(arrow_type):
        return {"feature": _feature(arrow_type.value_type), "_type": "List"}
    # `datasets` has names of its own for two of Arrow's types.
    named = {"float": "float32", "double": "float64"}
    return {"dtype": named.get(str(arrow_type), str(arrow_type)), "_type": "Value"}
