"""Which rows of the manifest are published, and in which split.

Training images are split by their subset, as in the study's dataset, with the real ones as a split of their own; the
evaluation set is one split, PublicEval, with generated and real images, and so is the one for validation. A row that is
in no split is not published, because it shares something with several. Real images that an edition may not pass on are
not in the manifest at all: a table beside it lists them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from manifests.database import database, parquet_view
from manifests.manifest import REAL, existing_manifest
from manifests.tables.withheld import WithheldRow, existing_list
from workspace import records
from workspace.layout import Workspace

#: The published split of everything that is for evaluation.
EVALUATION = "PublicEval"
#: That of everything that is for validation, such as to choose a threshold.
VALIDATION = "validation"
#: The published split of each split that holds generated and real images side by side.
MIXED_SPLITS = {"test": EVALUATION, "validation": VALIDATION}


@dataclass(frozen=True)
class Counts:
    """Rows of the manifest that are not published because they are in no split; and real images that would be published
    but may not be passed on, or of which that is unknown."""

    in_no_split: int
    not_redistributable: int


def published_split(rows: pa.RecordBatch | pa.Table) -> pa.Array | pa.ChunkedArray:
    """The published split of each row, from its columns `split` and `subset`; null for one that is not published."""
    split, subset = rows.column("split"), rows.column("subset")
    published = pc.if_else(pc.equal(split, "train"), subset, pa.scalar(None, pa.string()))
    for held, name in MIXED_SPLITS.items():
        published = pc.if_else(pc.fill_null(pc.equal(split, held), False), name, published)
    return published


@contextmanager
def published_rows(workspace: Workspace) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the views `manifest` and `published`: the rows that are published, with `published_split`. They
    are those that the file has when a query is run.

    Raises `UsageError` without a manifest of this version.
    """
    with database(workspace) as connection:
        parquet_view(connection, "manifest", [existing_manifest(workspace)])
        # The few pairs that there are, so that the rule is written once.
        pairs = connection.sql("SELECT DISTINCT split, subset FROM manifest").to_arrow_table()
        connection.register("published_splits", pairs.append_column("published_split", published_split(pairs)))
        connection.execute(
            """CREATE TEMP VIEW published AS
            FROM manifest JOIN (FROM published_splits WHERE published_split IS NOT NULL) USING (split, subset)"""
        )
        yield connection


def count_rows(connection: duckdb.DuckDBPyConnection) -> Counts:
    """Count what may not be published, or not to everybody; `connection` is one of `published_rows`."""
    ((rows, published, not_redistributable),) = connection.execute(
        f"""SELECT (SELECT count(*) FROM manifest), count(*),
        count(*) FILTER (label = {REAL} AND redistributable IS NOT TRUE) FROM published"""
    ).fetchall()
    return Counts(rows - published, not_redistributable)


def withheld_images(workspace: Workspace) -> pa.Table | None:
    """The real images that this edition lists without their pixels; None: it has no such list."""
    path = existing_list(workspace)
    return None if path is None else records.read_table(path, WithheldRow)
