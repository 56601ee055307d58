"""What of the manifest is published, and in which split.

Training images are split by their subset, as in the study's dataset, with the real ones as a split of their own; the
evaluation set is one split, PublicEval, whatever its images come from. An image that is in neither stays at home,
because it shares something with both. Real images that an edition may not pass on are not in the manifest at all: a
table beside it says which they are.
"""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from manifests.database import database, parquet_view
from manifests.manifest import existing_manifest
from manifests.tables.withheld import existing_list
from workspace.layout import Workspace

#: The published split of all that is for evaluation.
EVALUATION = "PublicEval"


@dataclass(frozen=True)
class Reservations:
    """What speaks against publishing some of the manifest's rows: how many are in no split (and stay at home), and how
    many real images that would be published may not be passed on, or nobody knows that they may."""

    in_no_split: int
    not_to_be_passed_on: int


def published_split(rows: pa.RecordBatch) -> pa.Array:
    """The published split of each row; null for one that is not published."""
    split, subset = rows.column("split"), rows.column("subset")
    of_training = pc.if_else(pc.equal(split, "train"), subset, pa.scalar(None, pa.string()))
    return pc.if_else(pc.fill_null(pc.equal(split, "test"), False), EVALUATION, of_training)


def reservations(workspace: Workspace) -> Reservations:
    """Count what is not to be published, or not to everybody. Raises `UsageError` without a manifest."""
    path = existing_manifest(workspace)
    with database(workspace) as connection:
        parquet_view(connection, "manifest", [path])
        counted = connection.execute(
            """SELECT count(*) FILTER (split IS NULL),
            count(*) FILTER (split IS NOT NULL AND label = 0 AND redistributable IS NOT TRUE) FROM manifest"""
        ).fetchall()
    return Reservations(*counted[0])


def withheld_images(workspace: Workspace) -> pa.Table | None:
    """The real images whose pixels this edition leaves out: what they are, where to get them; None: no table."""
    path = existing_list(workspace)
    return None if path is None else pq.read_table(path)
