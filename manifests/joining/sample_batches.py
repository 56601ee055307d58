"""The sample parts, as the join goes through them: whole generators at a time, in the order of their names.

DuckDB is never given all parts at once, for it keeps something of each file it reads; so what a pass over the samples
holds does not grow with their number. The first pass is made here: it tells how many rows each part has, and keeps
eight bytes of each image, by which equal ones are found (`repeats`).
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from manifests.database import literal, seen
from samplers.sample import Sample, sample_parts
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace, model_name_of

#: Rows joined together, but at least one generator's: some fifty megabytes, and as much of the rows read ahead.
BATCH_ROWS = 70_000

#: Files of which little is read at once: a footer, one column.
_FILES = 1_000

# `marks`: the part and, eight bytes for each, the image of every try; null: it was rejected, and has none.
_MARKS = """
INSERT INTO marks
SELECT file_index + ?, CASE WHEN sha256 IS NOT NULL THEN hash(sha256) END FROM read_parquet(?)
"""
_PARTS = """
CREATE TEMP TABLE parts AS SELECT found.*, coalesce(tries, 0) AS rows
FROM found LEFT JOIN (SELECT part, count(*) AS tries FROM marks GROUP BY part) USING (part)
"""

_GENERATORS = """
SELECT model_name, sum(rows)::BIGINT, list(path ORDER BY path) FROM parts GROUP BY model_name ORDER BY model_name
"""

_KINDS = """
WITH said AS (SELECT file_name AS path, value FROM parquet_kv_metadata(?) WHERE key = 'ARROW:schema')
SELECT min(path) FROM (SELECT unnest(?) AS path) LEFT JOIN said USING (path) GROUP BY value
"""


def find_parts(workspace: Workspace, connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables of a connection that say what samples there are: `parts` (part: its number, model_name, path as
    DuckDB takes it, rows) and `marks` (part, mark: a number for the image of each row, equal where sha256 are).

    Raises `UsageError` when there are none, or for one that another version wrote.
    """
    paths = sample_parts(workspace)
    if not paths:
        raise UsageError(f"{workspace.samples} holds no samples: run `cf-sample` first")
    check_version(connection, paths, Sample)
    found = pa.table(
        {
            "part": range(len(paths)),
            "model_name": [model_name_of(path.parent.name) for path in paths],
            "path": [literal(path) for path in paths],
        }
    )
    connection.execute("CREATE TEMP TABLE marks (part INTEGER, mark UBIGINT)")
    for first in range(0, len(paths), _FILES):
        connection.execute(_MARKS, [first, found["path"][first : first + _FILES].to_pylist()])
    with seen(connection, found=found):
        connection.execute(_PARTS)


def sampled(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The names of the generators that have parts."""
    return [name for (name,) in connection.execute("SELECT DISTINCT model_name FROM parts ORDER BY ALL").fetchall()]


def batches(connection: duckdb.DuckDBPyConnection, without: Collection[str] = ()) -> Iterator[list[str]]:
    """The paths of some generators' parts at a time, but not of those named in `without`: `BATCH_ROWS` rows together,
    where no generator alone has more.

    Where a batch ends hangs on how many rows the generators have, not on how these are cut into parts.
    """
    # In Arrow, where tens of thousands of paths are a few megabytes.
    generators = connection.sql(_GENERATORS).to_arrow_table()
    batch: list[str] = []
    rows = 0
    for model_name, more, paths in zip(*generators.columns, strict=True):
        if model_name.as_py() in without:
            continue
        if batch and rows + more.as_py() > BATCH_ROWS:
            yield batch
            batch, rows = [], 0
        batch += paths.as_py()
        rows += more.as_py()
    if batch:
        yield batch


def check_version(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], record: type) -> None:
    """Raise `UsageError` for a Parquet file that is none of this version's records."""
    for first in range(0, len(paths), _FILES):
        # Thousands of files say the same of their columns: one of them is looked at.
        some = paths[first : first + _FILES]
        of_a_kind = connection.execute(_KINDS, [[literal(path) for path in some], [str(path) for path in some]])
        for (path,) in of_a_kind.fetchall():
            records.read_table(Path(path), record, columns=[])
