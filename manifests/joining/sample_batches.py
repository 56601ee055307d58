"""The sample parts, as the join reads them: whole generators at a time, in the order of their names.

DuckDB is never given all parts at once, because it keeps something of each file it reads; so the memory of one pass
over the samples does not grow with their number. The first pass is made here: it counts the rows of each part, and
keeps eight bytes of each image, from which equal images are found (`duplicates`).
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from manifests.database import literal, parquet_files, registered
from manifests.joining.relations import IMAGE_HASHES, PART_FILES, PARTS
from manifests.rounds import ALL_ROUNDS
from samplers.sample import Sample, sample_parts
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace, generator_of

#: Rows joined together, but at least one generator's: some fifty megabytes, and as much for the rows read ahead.
BATCH_ROWS = 70_000

#: Files that are read together where little is read of each: a footer, one column.
_FILES = 1_000

_HASHES = f"""
INSERT INTO {IMAGE_HASHES}
SELECT file_index + ?, CASE WHEN sha256 IS NOT NULL THEN hash(sha256) END FROM {parquet_files()} WHERE round <= ?
"""
_COUNTED = f"""
SELECT {PART_FILES}.*, counted AS {PARTS.rows}
FROM {PART_FILES}
JOIN (SELECT {IMAGE_HASHES.part}, count(*) AS counted FROM {IMAGE_HASHES} GROUP BY {IMAGE_HASHES.part})
    USING ({PARTS.part})
"""

_GENERATORS = f"""
SELECT {PARTS.generator}, sum({PARTS.rows})::BIGINT, list({PARTS.path} ORDER BY {PARTS.path})
FROM {PARTS} GROUP BY {PARTS.generator} ORDER BY {PARTS.generator}
"""

# One path for each Arrow schema that the files have.
_SCHEMAS = """
WITH written AS (SELECT file_name AS path, value FROM parquet_kv_metadata(?) WHERE key = 'ARROW:schema')
SELECT min(path) FROM (SELECT unnest(?) AS path) LEFT JOIN written USING (path) GROUP BY value
"""


def sample_rows(*columns: str) -> str:
    """The samples of some parts in SQL; its parameters are a list of paths and the last round that is joined. `columns`
    as for `parquet_files`."""
    return f"(FROM {parquet_files(*columns)} WHERE round <= ?)"


def find_parts(
    workspace: Workspace,
    connection: duckdb.DuckDBPyConnection,
    without: Collection[str] = (),
    last_round: int = ALL_ROUNDS,
) -> None:
    """Create the tables `PARTS` and `IMAGE_HASHES`, which tell what samples of rounds up to `last_round` there are,
    except of the generators named in `without`.

    Raises `UsageError` when there are none, or for a part that another version wrote.
    """
    paths = [path for path in sample_parts(workspace) if generator_of(path.parent.name) not in without]
    if not paths:
        raise UsageError(f"{workspace.samples} holds no samples: run `cf-sample` first")
    check_version(connection, paths, Sample)
    part_files = pa.table(
        {
            PART_FILES.part.name: range(len(paths)),
            PART_FILES.generator.name: [generator_of(path.parent.name) for path in paths],
            PART_FILES.path.name: [literal(path) for path in paths],
        }
    )
    IMAGE_HASHES.create_empty(connection)
    for first in range(0, len(paths), _FILES):
        some = part_files[PART_FILES.path.name][first : first + _FILES]
        connection.execute(_HASHES, [first, some.to_pylist(), last_round])
    with registered(connection, {PART_FILES: part_files}):
        PARTS.create(connection, _COUNTED)
    if not sampled_generators(connection):
        if last_round == ALL_ROUNDS:
            raise UsageError(f"the files in {workspace.samples} hold no samples: run `cf-sample` first")
        raise UsageError(f"{workspace.samples} holds no samples of round {last_round} or before: leave out --rounds")


def sampled_generators(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The names of the generators that have samples."""
    query = f"SELECT DISTINCT {PARTS.generator} FROM {PARTS} ORDER BY ALL"
    return [name for (name,) in connection.execute(query).fetchall()]


def batches(connection: duckdb.DuckDBPyConnection, without: Collection[str] = ()) -> Iterator[list[str]]:
    """The paths of the parts of some generators at a time, except of those named in `without`.

    A batch has `BATCH_ROWS` rows at most, unless one generator alone has more. Where it ends depends on how many rows
    the generators have, not on how these are divided into parts.
    """
    # In Arrow, where tens of thousands of paths are a few megabytes.
    generators = connection.sql(_GENERATORS).to_arrow_table()
    batch: list[str] = []
    batch_rows = 0
    for generator, rows, paths in zip(*generators.columns, strict=True):
        if generator.as_py() in without:
            continue
        if batch and batch_rows + rows.as_py() > BATCH_ROWS:
            yield batch
            batch, batch_rows = [], 0
        batch += paths.as_py()
        batch_rows += rows.as_py()
    if batch:
        yield batch


def check_version(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], record: type) -> None:
    """Raise `UsageError` for a Parquet file that this version did not write as this record."""
    for first in range(0, len(paths), _FILES):
        # Thousands of files have equal schemas: one file of each schema is read.
        some = paths[first : first + _FILES]
        of_each_schema = connection.execute(_SCHEMAS, [[literal(path) for path in some], [str(path) for path in some]])
        for (path,) in of_each_schema.fetchall():
            records.read_table(Path(path), record, columns=[])
