"""A subset of the images in which file facts do not tell real from generated: pairs of one generated and one real image
whose files are alike.

Coarsened exact matching (Iacus, King and Porro 2012, Political Analysis 20): the two images of a pair have the same
split, format, mode, size, JPEG settings, EXIF and ICC presence; their file sizes are in the same of several bins, which
are `CALIPER` standard deviations of the logarithm wide (Austin 2011, Pharmaceutical Statistics 10), the deviation being
that of images with these facts. In each bin as many images of the more frequent label are taken as there are of the
other one, those with the smallest sha256: a choice by chance that is the same every time.
"""

from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from crawler.holdout import Split
from manifests.manifest import FAKE, REAL
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.records import column

#: Width of a bin of file sizes, in standard deviations. Images of one bin differ by less, so the file sizes of the two
#: labels have an AUROC of at most 0.56.
CALIPER = 0.2

#: What must be equal, in the order in which it is asked for: a name, and columns.
_EQUAL = (
    ("format", ("format",)),
    ("colour mode", ("mode",)),
    ("width and height", ("width", "height")),
    ("JPEG settings", ("jpeg_quality", "chroma_subsampling", "progressive")),
    ("EXIF data and ICC profile", ("has_exif", "has_icc")),
)
_FILE_SIZE = "file size"

#: What is kept of an image besides.
_KEYS = 'label, sha256, generator, model_name, "index", real_source, real_id, path'

#: Key of the manifest's sha256 in the metadata of the table.
_MANIFEST = b"community_forensics_manifest"


@dataclass(frozen=True, kw_only=True)
class MatchedRow:
    """One image of the matched subset. Every pair has two rows, and no image is in two pairs."""

    pair: int = column(pa.int64(), "number of the pair, from 0: one generated and one real image with like files")
    label: int = column(pa.int64(), "1: generated, 0: real")
    split: Split = column(pa.string(), "train | validation | test, as in the manifest; the same for both of a pair")
    sha256: str = column(pa.string(), "of the image file, as in the manifest")
    generator: str | None = column(
        pa.string(), "the generator's name, as in the manifest; null for real images", default=None
    )
    model_name: str | None = column(pa.string(), "the generator's repository id; null for real images", default=None)
    index: int | None = column(
        pa.int64(), "number of the sample within its generator; null for real images", default=None
    )
    real_source: str | None = column(
        pa.string(), "the data set of a real image; null for generated images", default=None
    )
    real_id: str | None = column(
        pa.string(), "the real image's id in its data set; null for generated images", default=None
    )


@dataclass(frozen=True)
class Matching:
    """How many pairs there are, of how many generators, and how many are possible when only the first, the first two,
    ... of the facts must be equal: each with what is asked for in addition."""

    pairs: int
    generators: int
    possible: tuple[tuple[str, int], ...]


def matched_path(workspace: Workspace) -> Path:
    """The table of the matched subset."""
    return workspace.manifest / "matched.parquet"


def read_matched(workspace: Workspace, manifest_sha256: str) -> pa.Table:
    """The table's rows. Raises `UsageError` where there is none of this manifest."""
    path = matched_path(workspace)
    with records.opened(path, MatchedRow) as file:
        if (file.schema_arrow.metadata or {}).get(_MANIFEST) != manifest_sha256.encode():
            raise UsageError(f"{path} is of another manifest: run `cf-build-manifest --matched` again")
        return file.read()


def match(connection: duckdb.DuckDBPyConnection) -> Matching:
    """Choose the pairs among the images of the view `audited`, and leave them as the table `pairs`, with the columns of
    the manifest that facts are read from, and `pair`, `pair_generator` and `pair_sha256`."""
    equal = [column for _, columns in _EQUAL for column in columns]
    stratum = ", ".join(["split", *equal])
    same = " AND ".join(f"images.{name} IS NOT DISTINCT FROM strata.{name}" for name in ("split", *equal))
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE pairs AS
        WITH strata AS (
            SELECT {stratum}, round(sqrt((
                coalesce(var_pop(ln(file_size)) FILTER (label = {FAKE}), 0)
                + coalesce(var_pop(ln(file_size)) FILTER (label = {REAL}), 0)) / 2), 6) AS deviation
            FROM audited WHERE file_size > 0 GROUP BY {stratum}
            HAVING count(*) FILTER (label = {FAKE}) > 0 AND count(*) FILTER (label = {REAL}) > 0
        ), images AS (
            SELECT {_KEYS}, {stratum}, file_size FROM audited WHERE file_size > 0
        ), sized AS (
            SELECT images.*, deviation FROM images JOIN strata ON {same} QUALIFY 1 = row_number() OVER (
                PARTITION BY label, sha256 ORDER BY generator, "index", real_source, real_id)
        ), binned AS (
            SELECT *, CASE WHEN deviation > 0 THEN floor(ln(file_size) / ({CALIPER} * deviation)) ELSE file_size END
                AS bin FROM sized
        ), ranked AS (
            SELECT *, row_number() OVER (PARTITION BY {stratum}, bin, label ORDER BY sha256) AS place,
                count(*) FILTER (label = {FAKE}) OVER cell AS generated_here,
                count(*) FILTER (label = {REAL}) OVER cell AS real_here
            FROM binned WINDOW cell AS (PARTITION BY {stratum}, bin)
        ), numbered AS (
            SELECT *, dense_rank() OVER (ORDER BY {stratum}, bin, place) - 1 AS pair
            FROM ranked WHERE place <= least(generated_here, real_here)
        )
        SELECT * EXCLUDE (deviation, bin, place, generated_here, real_here),
            max(model_name) OVER (PARTITION BY pair) AS pair_generator,
            max(sha256) FILTER (label = {FAKE}) OVER (PARTITION BY pair) AS pair_sha256
        FROM numbered""")
    possible = [(name, _possible(connection, equal[: equal.index(columns[-1]) + 1])) for name, columns in _EQUAL]
    ((pairs, generators),) = connection.execute(
        f"SELECT count(*), count(DISTINCT generator) FROM pairs WHERE label = {FAKE}"
    ).fetchall()
    return Matching(pairs, generators, (*possible, (_FILE_SIZE, pairs)))


def write_matched(connection: duckdb.DuckDBPyConnection, workspace: Workspace, manifest_sha256: str) -> None:
    """Write the table `pairs` that `match` left as that of the manifest's matched subset."""
    rows = connection.sql(
        f"""SELECT pair, label, split, sha256, generator, model_name, "index",
            CASE WHEN label = {REAL} THEN real_source END AS real_source,
            CASE WHEN label = {REAL} THEN real_id END AS real_id FROM pairs ORDER BY pair, label DESC"""
    ).to_arrow_table()
    table = rows.cast(pa.schema(records.schema(MatchedRow), {_MANIFEST: manifest_sha256}))
    records.write_table(matched_path(workspace), table)


def _possible(connection: duckdb.DuckDBPyConnection, columns: list[str]) -> int:
    """How many pairs there are in which these columns, and the split, are equal."""
    ((number,),) = connection.execute(f"""
        SELECT coalesce(sum(least(generated, real)), 0)::BIGINT FROM (
            SELECT count(DISTINCT sha256) FILTER (label = {FAKE}) AS generated,
                count(DISTINCT sha256) FILTER (label = {REAL}) AS real
            FROM audited GROUP BY {", ".join(["split", *columns])})""").fetchall()
    return int(number)
