"""The join of samples, catalogue and prompts, in bounded memory.

DuckDB reads the parts where they lie, those of some generators at a time in the order of their names, so what it holds
does not grow with the dataset; what still does not fit is spilled to the workspace's disk. Of the prompts, the join
holds only what it needs, and each time joins those only that these generators had. Rows come out in one fixed order, so
the same workspace gives the same bytes.

What is decided here because all rows must be known: whether an image is a duplicate, who else made it (`repeats`), and
the split of a row, for a real image whose caption a test generator had must not come to training by another way.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from captioning.prompt import Prompt, prompt_parts
from crawler.catalog import CatalogEntry
from manifests.database import MEMORY, database, record_view
from manifests.manifest import ManifestRow
from manifests.parts import batches, checked_rows, find_parts
from manifests.real import REAL_ROWS
from manifests.repeats import find_repeats
from manifests.splits import Division
from manifests.withheld import WithheldRow
from workspace import records
from workspace.errors import CommunityForensicsError
from workspace.layout import Workspace

#: Most rows of a row group of the manifest.
ROW_GROUP_ROWS = 50_000

#: Row groups that may wait to be written.
_WAITING = 4

#: Columns whose values hardly ever come twice: a dictionary of them costs time and saves nothing.
_VARIOUS = frozenset(
    {"image_name", "index", "prompt", "real_id", "real_sha256", "seed", "file_size", "sha256", "nsfw_score", "path"}
)

#: With more threads than this, what each of them needs would be most of the memory.
_THREADS = 4

_CATALOG = """
CREATE TEMP TABLE catalog AS
SELECT model_name, revision, subset, architecture, license, license_source, license_family, hf_pipeline_tag,
    hf_diffusers_tag, task, kind, base_model, lineage
FROM catalog_file
"""

# What the join needs of prompts; `mark` stands for the id, for numbers are found faster than texts. `held`: a test
# generator made an image of the caption of this photograph, which may be in several data sets.
_CAPTIONS = """
CREATE TEMP TABLE captions AS
SELECT hash(prompt_id) AS mark, prompt_id, caption_origin, captioner, real_title, real_source, real_id, real_sha256,
    real_sha256 IN (
        SELECT real_sha256 FROM prompts WHERE hash(prompt_id) IN (FROM asked_of_test)) AS held
FROM prompts
"""

_ASKED_OF_TEST = """
INSERT INTO asked_of_test
SELECT DISTINCT hash(prompt_id) FROM read_parquet(?)
SEMI JOIN (FROM divided WHERE split = 'test') USING (model_name)
ANTI JOIN duplicates USING (model_name, revision, "index")
WHERE status = 'ok' AND prompt_id IS NOT NULL
"""

# All tries of some generators: `fate` is what became of one, `folder` the one in which its part lies.
_TRIES = """
CREATE OR REPLACE TEMP TABLE tries AS
SELECT model_name, revision, "index", seed, prompt_id, prompt IS NULL AS unprompted, real_source, nsfw_flag,
    image_name, sha256, format, mode, width, height, file_size, image.path AS path,
    string_split(filename, '/')[-2] AS folder,
    CASE WHEN status <> 'ok' THEN status
        WHEN (model_name, revision, "index") IN (FROM duplicates) THEN 'duplicate'
        ELSE 'kept' END AS fate
FROM read_parquet(?, filename = true)
"""

# The captions that these tries had.
_TOLD = """
CREATE OR REPLACE TEMP TABLE told AS
FROM captions SEMI JOIN (SELECT DISTINCT hash(prompt_id) AS mark FROM tries WHERE prompt_id IS NOT NULL) USING (mark)
"""

# Which captions were used, and whether for training: what the rows of real images are decided by.
_USES = """
INSERT INTO uses
SELECT hash(t.prompt_id), coalesce(bool_or(d.split = 'train'), false)
FROM tries t LEFT JOIN divided d USING (model_name)
WHERE t.fate = 'kept' AND t.prompt_id IS NOT NULL GROUP BY 1
"""

# Left joins: a row that resolves to nothing must be seen by the checks, not vanish.
_FAKE = """
SELECT
    1::BIGINT AS label, s.image_name, coalesce(c.subset, '') AS subset,
    CASE WHEN d.split = 'train' AND p.held THEN NULL ELSE d.split END AS split, s.model_name, s.revision, s."index",
    coalesce(c.architecture, '') AS architecture, c.license, c.license_source,
    coalesce(c.license_family, 'unknown') AS license_family, c.hf_pipeline_tag, c.hf_diffusers_tag, c.task, c.kind,
    c.base_model, c.lineage, s.prompt, s.negative_prompt, p.caption_origin, p.captioner,
    coalesce(p.real_title, s.real_source) AS real_source, p.real_id, p.real_sha256, s.class_label, s.seed,
    s.num_inference_steps, s.guidance_scale, nullif(s.scheduler, '') AS scheduler, s.dtype, s.vae_dtype, s.memory,
    s.device, s.batch_size, s.libraries, s.format, s.mode, s.width, s.height, s.file_size, s.sha256,
    list_filter(m.makers, lambda maker: maker <> s.model_name) AS also_by, s.nsfw_flag, s.nsfw_score,
    s.image.path AS path
FROM read_parquet(?) s
ANTI JOIN duplicates USING (model_name, revision, "index")
LEFT JOIN catalog c USING (model_name, revision)
LEFT JOIN divided d USING (model_name)
LEFT JOIN told p USING (prompt_id)
LEFT JOIN shown m USING (sha256)
WHERE s.status = 'ok'
ORDER BY model_name, "index"
"""

# An image counts as shared where several of those who made it are in the manifest.
_SHOWN = """
CREATE TEMP TABLE shown AS
SELECT sha256, list(maker ORDER BY maker) AS makers
FROM (SELECT sha256, unnest(makers) AS maker FROM shared)
WHERE maker NOT IN (SELECT unnest(?::VARCHAR[])) GROUP BY sha256 HAVING count(*) > 1
"""

# The real images whose captions were used. One image may have several captions: the first by id stands for it.
_CHOSEN = """
CREATE TEMP TABLE chosen AS
WITH used AS (SELECT mark, bool_or(trained) AS trained FROM uses GROUP BY mark),
    images AS (
        SELECT min(prompt_id) AS prompt_id, any_value(real_sha256) AS real_sha256, any_value(held) AS held
        FROM captions SEMI JOIN used USING (mark) GROUP BY real_title, real_id, real_sha256),
    training AS (SELECT DISTINCT real_sha256 FROM captions JOIN used USING (mark) WHERE trained)
SELECT prompt_id, CASE WHEN held THEN 'test' WHEN real_sha256 IN (FROM training) THEN 'train' END AS split
FROM images
"""
_REAL_IMAGES = """
CREATE TEMP VIEW real_images AS
SELECT
    real_title AS real_source, real_id, real_sha256, real_format AS format, real_mode AS mode, real_width AS width,
    real_height AS height, license, license_link, redistributable, split, prompt, caption_origin, captioner,
    real_path AS path, real_source AS named
FROM prompts JOIN chosen USING (prompt_id)
"""
_IN_ORDER = "ORDER BY real_source, real_id, named"


@dataclass(frozen=True)
class Joined:
    """What a join came to: rows written, real images left out, and how many tries of each generator ended how (kept,
    nsfw, blank, nan or duplicate)."""

    rows: int
    withheld: int
    tries: dict[str, dict[str, int]]


@contextmanager
def opened(workspace: Workspace, memory: str = MEMORY) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB connection that sees the workspace as `parts` (of samples), `prompts` and `catalog`, and knows which
    images were made more than once (`repeats`).

    `memory` as for `database`, with its error. Raises `UsageError` when a stage before this one has not run, or for a
    part of another version; `CommunityForensicsError`, in the block too, when memory does not suffice.
    """
    with database(workspace, memory) as connection:
        connection.execute("SET preserve_insertion_order = false")  # every query here that needs an order names it
        # Queries here are written so that what is joined with is small; where DuckDB guesses, it holds the samples.
        connection.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")
        connection.execute(f"SET threads = least({_THREADS}, current_setting('threads'))")
        try:
            find_parts(workspace, connection)
            _view(connection, "prompts", prompt_parts(workspace), Prompt)
            _view(connection, "catalog_file", [workspace.catalog], CatalogEntry)
            connection.execute(_CATALOG)
            find_repeats(connection)
            yield connection
        except duckdb.OutOfMemoryException as error:
            raise CommunityForensicsError(
                "the join does not fit into its memory; give it more with --memory, such as --memory 4GB"
            ) from error


def write_join(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    division: Division,
    withheld: Path | None = None,
    metadata: Mapping[bytes, bytes] | None = None,
    look: Callable[[], None] = lambda: None,
) -> Joined:
    """Write the manifest's rows, not checked yet, to the file `path`; `connection` is one of `opened`.

    `withheld` is for the public edition: the file for those real images that may not be passed on; without it they are
    in the manifest. `metadata` goes into the manifest's schema. `look` is called once for some generators at a time,
    when the connection has their `tries` and the captions they were `told`, for the checks of rows, and may
    raise. Raises `CommunityForensicsError` when a row lacks what every row has.
    """
    rows, tries = 0, defaultdict[str, dict[str, int]](dict)
    _prepare(connection, division)
    with RowWriter(connection, path, ManifestRow, metadata) as manifest:
        for paths in batches(connection, division.withheld):
            connection.execute(_TRIES, [paths])
            connection.execute(_TOLD)
            connection.execute(_USES)
            for model_name, fate, count in connection.execute(
                "SELECT model_name, fate, count(*) FROM tries GROUP BY ALL"
            ).fetchall():
                tries[model_name][fate] = tries[model_name].get(fate, 0) + count
            look()
            rows += manifest.write(_FAKE, [paths])
        connection.execute(_CHOSEN)
        connection.execute(_REAL_IMAGES)
        rows += manifest.write(f"{REAL_ROWS} WHERE {'true' if withheld is None else 'redistributable'} {_IN_ORDER}")
    if withheld is None:
        return Joined(rows, 0, dict(tries))
    with RowWriter(connection, withheld, WithheldRow) as others:
        left_out = others.write(f"FROM real_images WHERE redistributable IS NOT TRUE {_IN_ORDER}")
    return Joined(rows, left_out, dict(tries))


class RowWriter:
    """Writes what queries give to one Parquet file of a record, beside DuckDB's work on the next rows."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        path: Path,
        record: type,
        metadata: Mapping[bytes, bytes] | None = None,
    ) -> None:
        self._connection = connection
        self._schema = records.schema(record).with_metadata(metadata)
        often = [field.name for field in self._schema if field.name not in _VARIOUS]
        self._file = pq.ParquetWriter(path, self._schema, compression="zstd", use_dictionary=often)
        self._thread = ThreadPoolExecutor(1)
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._file, self._thread:
            while kind is None and self._waiting:
                self._waiting.popleft().result()

    def write(self, query: str, parameters: Sequence[object] = ()) -> int:
        """Write a query's rows in their order; returns how many."""
        written = 0
        for batch in self._connection.sql(query, params=parameters).to_arrow_reader(ROW_GROUP_ROWS):
            if len(self._waiting) == _WAITING:
                self._waiting.popleft().result()
            table = _fitted(batch, self._schema)
            self._waiting.append(self._thread.submit(self._file.write_table, table, row_group_size=ROW_GROUP_ROWS))
            written += batch.num_rows
        return written


def _prepare(connection: duckdb.DuckDBPyConnection, division: Division) -> None:
    """The tables that every batch is joined with, and those that batches add to."""
    splits = pa.table(
        {
            "model_name": pa.array(division.splits.keys(), pa.string()),
            "split": pa.array(division.splits.values(), pa.string()),
        }
    )
    connection.from_arrow(splits).create("divided")
    connection.execute("CREATE TEMP TABLE asked_of_test (mark UBIGINT)")
    others = {name for name, split in division.splits.items() if split != "test"}
    if len(others) < len(division.splits):
        for paths in batches(connection, others | division.withheld):
            connection.execute(_ASKED_OF_TEST, [paths])
    connection.execute(_CAPTIONS)
    connection.execute(_SHOWN, [sorted(division.withheld)])
    connection.execute("CREATE TEMP TABLE uses (mark UBIGINT, trained BOOLEAN)")


def _view(connection: duckdb.DuckDBPyConnection, name: str, paths: list[Path], record: type) -> None:
    for _ in checked_rows(paths, record):
        pass
    record_view(connection, name, paths, record)


def _fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.Table:
    """A batch in the record's columns, types and nullability."""
    columns: list[Any] = []
    for field in schema:
        # Real images have no generator, seed or steps: what their query does not say is null.
        known = field.name in batch.schema.names
        column = batch.column(field.name) if known else pa.nulls(batch.num_rows, field.type)
        if not field.nullable and column.null_count:
            raise CommunityForensicsError(
                f"{column.null_count} rows have no {field.name}: a part in samples/ or prompts/ is damaged"
            )
        columns.append(column.cast(field.type))
    return pa.Table.from_arrays(columns, schema=schema)
