"""A published dataset as a source: Parquet shards with the images inside, on the Hub or in a folder.

Both layouts of `cf-publish` are read, `viewer` with all columns of the manifest, and `community-forensics` with those
of the study's own dataset, which has it too. That one tells no hashes, so an image is known by its place: sha256 of the
dataset, the shard and the row. There a real image for evaluation has the name of the generator beside which it is, and
so it is paired with the images of that generator, in their order.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detectors.data.kin import Kinship
from detectors.data.sources.shard_process import PROMPT_KEY
from detectors.data.sources.shards import ROW_GROUP, ShardReader
from detectors.data.sources.source import GeneratorFacts, paired_in_order, unreadable
from manifests.manifest import FAKE, REAL
from workspace.errors import UsageError
from workspace.hub_access import HubAccess
from workspace.locator import LocatorReader, row_locator

#: Columns that a layout has; `viewer` has others besides.
_VIEWER = frozenset({"image", "label", "sha256", "generator", "model_name", "path"} - {"path"})
_STUDY = frozenset(
    {"image_data", "label", "model_name", "architecture", "real_source", "split", "format", "resolution"}
)

#: The index's columns that are the viewer's, and those that kin is known by.
_SAME = (
    *("sha256", "label", "generator", "architecture", "real_source", "real_sha256", "split", "format", "mode", "width"),
    *("height", "file_size", "jpeg_quality", "chroma_subsampling", "progressive", "has_exif", "has_icc"),
    "round",
)
_KIN = ("generator", "model_name", "base_model", "lineage", "also_by")
#: The table of the generators in the repository, and its columns that are used.
GENERATORS = "metadata/generators.parquet"
_STUDY_SAME = ("architecture", "real_source", "split", "format", "mode", PROMPT_KEY)
_FLAGS = ("progressive", "has_exif", "has_icc")

#: Rows that are read together at most: of a larger row group these are parts, and each is found by reading what is
#: before it.
GROUP_ROWS = 256


class PublishedSource:
    """A dataset of Parquet shards."""

    def __init__(self, name: str, root: str, files: Sequence[str], hub: HubAccess = HubAccess()) -> None:
        """`root`: the folder or hf://datasets/ORG/NAME@COMMIT below which the `files` are.

        Raises `UsageError` where it has no shards of a layout that is known.
        """
        self.name, self._root, self._hub = name, root, hub
        self._shards = [file for file in files if file.endswith(".parquet") and not file.startswith("metadata/")]
        self._generators = GENERATORS if GENERATORS in files else None
        self._kinship = Kinship()
        self._appeared: dict[str, str | None] = {}
        self._groups = self._largest_group = 0
        if not self._shards:
            raise UsageError(f"--data {name}: has no Parquet files with images")
        with self._shard_reader() as reader:
            try:
                columns = set(reader.columns(self._path(self._shards[0])))
            except OSError as error:
                raise unreadable(name, f"{error.filename}: {error.strerror}") from error
        if columns >= _VIEWER:
            self._picture, self._columns = "image", columns
        elif columns >= _STUDY:
            self._picture, self._columns = "image_data", columns
        else:
            raise UsageError(
                f"--data {name}: {self._shards[0]} has neither the columns of cf-publish nor those of the study"
            )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows of the shards, by name of the shard and row."""
        self._groups = 0
        with self._shard_reader() as reader:
            try:
                if self._picture == "image":
                    yield from self._viewer(reader)
                else:
                    yield from self._study(reader)
                if self._generators is not None:
                    names = ("generator", "created_at")
                    for rows in reader.rows(self._path(self._generators), names):
                        self._appeared |= dict(zip(*(rows.column(name).to_pylist() for name in names), strict=True))
            except OSError as error:
                raise unreadable(self.name, f"{error.filename}: {error.strerror}") from error

    def generators(self) -> Mapping[str, GeneratorFacts]:
        """Kin by the ancestors that the rows name, and by equal images; the first day from the table of generators."""
        return {name: GeneratorFacts(kin, self._appeared.get(name)) for name, kin in self._kinship.groups().items()}

    def notes(self) -> Iterator[str]:
        """What the study's columns do not tell, and what makes training slow."""
        if self._largest_group > GROUP_ROWS:
            yield (
                f"{self.name}: has row groups of up to {self._largest_group:,} rows; training reads {GROUP_ROWS} at a "
                "time, and those before them again"
            )
        if self._picture == "image_data":
            yield (
                f"{self.name}: this layout tells neither hashes nor relations: equal images are not known as equal, "
                "and each generator counts as related to none"
            )

    def read(self, locator: str) -> bytes:
        """An image file, whole, from its row."""
        return self._reader.read(f"{self._root}/{locator}", self._within)

    @property
    def _within(self) -> Path | None:
        return None if self._root.startswith("hf://") else Path(self._root)

    def _shard_reader(self) -> ShardReader:
        return ShardReader(self._hub, self._within)

    @cached_property
    def _reader(self) -> LocatorReader:
        return LocatorReader(self._hub)

    def _path(self, file: str) -> str:
        return f"{self._root}/{file}"

    def _viewer(self, reader: ShardReader) -> Iterator[pa.RecordBatch]:
        wanted = [name for name in (*_SAME, "real_title", *_KIN) if name in self._columns]
        for shard in self._shards:
            at = 0
            for rows in reader.rows(self._path(shard), [*dict.fromkeys(wanted), PROMPT_KEY]):
                self._add_kin(rows)
                columns = {name: rows.column(name) for name in (*_SAME, PROMPT_KEY) if name in rows.column_names}
                columns["group"] = self._grouped(rows.column(ROW_GROUP))
                if "real_title" in rows.column_names:
                    titles, sources = (_texts(rows.column(name)) for name in ("real_title", "real_source"))
                    columns["real_source"] = pc.coalesce(titles, sources)
                yield from self._completed(columns, shard, at, len(rows))
                at += len(rows)

    def _add_kin(self, rows: pa.Table) -> None:
        """Unite each generator with its ancestors and with those that made an equal image."""
        texts = rows.select([name for name in _KIN if name in rows.column_names])
        for row in texts.group_by(texts.column_names).aggregate([]).to_pylist():
            if row["generator"] is not None:
                self._kinship.add(row["generator"])
                for others in list(row.values())[1:]:
                    for other in (others or "").split("\n"):
                        if other:
                            self._kinship.unite(row["generator"], other)

    def _study(self, reader: ShardReader) -> Iterator[pa.RecordBatch]:
        names = ("label", "model_name", "resolution", *_STUDY_SAME)
        made: list[tuple[dict[str, Any], str, int]] = []
        beside: list[str] = []
        labels: list[int] = []
        keys: list[str | None] = []
        for shard in self._shards:
            at = 0
            for rows in reader.rows(self._path(shard), names):
                fake, models = pc.equal(rows.column("label"), FAKE), _texts(rows.column("model_name"))
                width, height = _sides(rows.column("resolution"))
                own = list(self._places(shard, at, len(rows)))
                columns = {
                    "sha256": pa.array(own, pa.string()),
                    "label": rows.column("label"),
                    "generator": pc.if_else(fake, models, pa.scalar(None, pa.string())),
                    "width": width,
                    "height": height,
                    "group": self._grouped(rows.column(ROW_GROUP)),
                    **{name: rows.column(name) for name in _STUDY_SAME},
                }
                made.append((columns, shard, at))
                trains = pc.equal(_texts(rows.column("split")), "train")
                beside += pc.if_else(trains, "", models).to_pylist()
                labels += rows.column("label").to_pylist()
                keys += own
                at += len(rows)
        real = paired_in_order(beside, labels, keys)
        done = 0
        for columns, shard, at in made:
            rows_here = len(columns["sha256"])
            columns["real_sha256"] = real.slice(done, rows_here)
            done += rows_here
            yield from self._completed(columns, shard, at, rows_here)

    def _grouped(self, row_groups: pa.ChunkedArray) -> pa.Array:
        """The number of each row's group in this dataset, from whole row groups."""
        sizes = np.bincount(row_groups.to_numpy() - (row_groups[0].as_py() if len(row_groups) else 0))
        self._largest_group = max(self._largest_group, int(sizes.max(initial=0)))
        within = np.arange(len(row_groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        numbers = self._groups - 1 + np.cumsum(within % GROUP_ROWS == 0)
        self._groups += int((within % GROUP_ROWS == 0).sum())
        return pa.array(numbers, pa.int32())

    def _places(self, shard: str, at: int, rows: int) -> Iterator[str]:
        start = hashlib.sha256(f"{self.name}/{shard}#".encode())
        for row in range(at, at + rows):
            place = start.copy()
            place.update(str(row).encode())
            yield place.hexdigest()

    def _completed(self, columns: dict[str, Any], shard: str, at: int, rows: int) -> Iterator[pa.RecordBatch]:
        if "label" in columns and not set(np.unique(columns["label"].to_numpy()).tolist()) <= {REAL, FAKE}:
            raise OSError(5, "a label is neither 0 nor 1", shard)
        for name in _FLAGS:
            if name in columns:
                columns[name] = columns[name].cast(pa.int8()).cast(pa.bool_())
        places = [f"{shard}#{row_locator(row, self._picture)}" for row in range(at, at + rows)]
        yield from pa.table({**columns, "locator": places}).combine_chunks().to_batches()


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string())


def _sides(resolution: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    """Width and height from texts such as 512x768."""
    sides = pc.split_pattern(_texts(resolution), "x").combine_chunks()
    pairs = pc.equal(pc.list_value_length(sides), 2)
    if not pc.all(pc.fill_null(pairs, False)).as_py() and len(sides):
        raise OSError(5, "a resolution is not two numbers", "resolution")
    return pc.list_element(sides, 0).cast(pa.int32()), pc.list_element(sides, 1).cast(pa.int32())
