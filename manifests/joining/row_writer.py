"""Writing rows to a Parquet file in a thread, while the next rows are worked on.

A query gives the rows, in its order: either the columns themselves, or values from which the caller makes the columns,
in the writer's thread too.
"""

import base64
from collections import deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeAlias

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workspace import records
from workspace.errors import CommunityForensicsError
from workspace.number_text import counted

Columns: TypeAlias = dict[str, Any]
"""Arrow arrays by the names of their columns; texts may be dictionaries."""

_DICTIONARY = pa.dictionary(pa.int32(), pa.string())

#: Rows of a row group of the manifest at most: more than a usual batch of the join, which is then one row group. The
#: fewer row groups, the less the writer keeps in memory for the footer.
ROW_GROUP_ROWS = 100_000

#: Row groups that may wait to be written.
_WAITING = 1

#: Columns whose values are hardly ever repeated: a dictionary of them, or statistics, would cost time and save nothing.
_UNIQUE = frozenset({"image_name", "index", "prompt", "real_id", "file_size", "path", "metadata", "original_name"})

#: Those of them whose bytes are nearly random: compressing them takes long and saves little.
_RANDOM = frozenset({"real_sha256", "seed", "sha256", "nsfw_score", "perceptual_hash"})


def columns_of(rows: pa.RecordBatch | pa.Table) -> Columns:
    """The columns of some rows."""
    return dict(zip(rows.column_names, rows.columns, strict=True))


class RowWriter:
    """Writes rows to one Parquet file of a record."""

    def __init__(self, path: Path, record: type, metadata: Mapping[bytes, bytes] | None = None) -> None:
        schema = records.schema(record).with_metadata(metadata)
        repeated = [name for name in schema.names if name not in _UNIQUE | _RANDOM]
        self._schema = _with_dictionaries(schema, repeated)
        self._file = pq.ParquetWriter(
            path,
            self._schema,
            compression={leaf: "none" if leaf in _RANDOM else "zstd" for leaf in records.leaves(schema)},
            use_dictionary=repeated,
            write_statistics=repeated,
            write_page_checksum=True,
            store_schema=False,
        )
        # The key that readers use for the Arrow schema (https://arrow.apache.org/docs/cpp/parquet.html). It has plain
        # texts; that the writer is given dictionaries is only for speed.
        self._file.add_key_value_metadata({"ARROW:schema": base64.b64encode(schema.serialize()).decode()})
        self._thread = ThreadPoolExecutor(1)
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._file, self._thread:
            if kind is None:
                self.wait()

    def wait(self) -> None:
        """Return when the rows that were given are written; errors as `write`."""
        while self._waiting:
            self._waiting.popleft().result()

    def write(self, rows: duckdb.DuckDBPyRelation, columns: Callable[[pa.RecordBatch], Columns] = columns_of) -> int:
        """Write the rows of a query, in its order, or what `columns` makes of them; returns how many rows.

        Raises `CommunityForensicsError` for a row that lacks a value that every row has, here or at the end of the
        block.
        """
        written = 0
        for batch in rows.to_arrow_reader(ROW_GROUP_ROWS):
            if len(self._waiting) == _WAITING:
                self._waiting.popleft().result()
            self._waiting.append(self._thread.submit(self._write, batch, columns))
            written += batch.num_rows
        return written

    def _write(self, batch: pa.RecordBatch, columns: Callable[[pa.RecordBatch], Columns]) -> None:
        table = _fitted(columns(batch), batch.num_rows, self._schema)
        self._file.write_table(table, row_group_size=ROW_GROUP_ROWS)


def _with_dictionaries(schema: pa.Schema, repeated: Collection[str]) -> pa.Schema:
    """The schema with dictionaries for its texts that are repeated."""
    fields = [
        field.with_type(_DICTIONARY) if field.name in repeated and field.type == pa.string() else field
        for field in schema
    ]
    return pa.schema(fields, metadata=schema.metadata)


def _fitted(known: Columns, rows: int, schema: pa.Schema) -> pa.Table:
    """The columns in the order, types and nullability of the record."""
    columns: list[pa.Array | pa.ChunkedArray] = []
    for field in schema:
        # Real images have no generator, seed or steps: columns that their query does not give are null.
        column = known.get(field.name, pa.nulls(rows, field.type))
        if not field.nullable and column.null_count:
            raise CommunityForensicsError(
                f"{counted(column.null_count, 'row')} without {field.name}: a part in samples/ or prompts/ is damaged; "
                "run `cf-build-manifest --verify full`, which names it"
            )
        encode = field.type == _DICTIONARY and not pa.types.is_dictionary(column.type)
        columns.append(pc.dictionary_encode(column.cast(pa.string())) if encode else column.cast(field.type))
    return pa.Table.from_arrays(columns, schema=schema)
