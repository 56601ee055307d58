"""The join of samples, catalogue and prompts, in bounded memory.

DuckDB reads the parts where they lie. The join goes by generators, a few hundred at a time in the order of their
names, so what it holds does not grow with the dataset; what still does not fit is spilled to the workspace's disk. Rows
come out in one fixed order, so the same workspace gives the same bytes.

Whether an image is a duplicate is decided here, where all rows of its generator are known: of equal sha256 the
lowest index is kept.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from captioning.prompt import Prompt, prompt_parts
from crawler.catalog import CatalogEntry
from manifests.manifest import REAL_SUBSET, ManifestRow
from manifests.scratch import scratch_folder
from samplers.sample import Sample, sample_parts
from workspace import records
from workspace.errors import CommunityForensicsError, UsageError
from workspace.layout import Workspace

#: Rows handed over at a time, and most rows of a row group of the manifest.
BATCH_ROWS = 50_000

#: Generators joined together: at a few hundred images each, tens of megabytes of rows.
GENERATORS_AT_ONCE = 200

# `fate` is what became of a try. Of images inside the rows only their place is taken along.
_TRIES = """
CREATE OR REPLACE TEMP TABLE tries AS
SELECT * EXCLUDE (image), image.path AS path, CASE
    WHEN status <> 'ok' THEN status
    WHEN row_number() OVER (PARTITION BY model_name, revision, status, sha256 ORDER BY "index") > 1 THEN 'duplicate'
    ELSE 'kept' END AS fate
FROM read_parquet(?)
"""

# Left joins: a row that resolves to nothing must be seen by the checks, not vanish.
_FAKE = """
SELECT
    1::BIGINT AS label, t.image_name, coalesce(c.subset, '') AS subset, 'train' AS split, t.model_name,
    t.revision, t."index",
    coalesce(c.architecture, '') AS architecture, c.license, c.license_source,
    coalesce(c.license_family, 'unknown') AS license_family, c.hf_pipeline_tag, c.hf_diffusers_tag, c.task, c.kind,
    c.base_model, c.lineage, t.prompt, t.negative_prompt, p.caption_origin, p.captioner,
    coalesce(p.real_title, t.real_source) AS real_source, p.real_id, p.real_sha256, t.class_label, t.seed,
    t.num_inference_steps, t.guidance_scale, nullif(t.scheduler, '') AS scheduler, t.dtype, t.vae_dtype, t.memory,
    t.device, t.batch_size,
    t.libraries, t.format, t.mode, t.width, t.height, t.file_size, t.sha256, t.nsfw_flag,
    t.nsfw_score,
    NULL::BOOLEAN AS redistributable, t.path
FROM tries t
LEFT JOIN catalog c ON c.model_name = t.model_name AND c.revision = t.revision
LEFT JOIN prompts p ON p.prompt_id = t.prompt_id
WHERE t.fate = 'kept'
ORDER BY model_name, "index", sha256
"""

# The real images whose captions were used. One image may have several captions: the first by id stands for it.
_REAL = f"""
SELECT
    0::BIGINT AS label, parse_filename(real_id) AS image_name, '{REAL_SUBSET}' AS subset, 'train' AS split,
    'real' AS architecture,
    license, 'unknown' AS license_family, prompt, caption_origin, captioner, real_title AS real_source, real_id,
    real_sha256, real_format AS format, real_mode AS mode, real_width AS width, real_height AS height,
    real_sha256 AS sha256,
    redistributable, real_path AS path
FROM prompts
WHERE prompt_id IN (
    SELECT min(prompt_id) FROM prompts WHERE prompt_id IN (FROM used) GROUP BY real_source, real_id)
ORDER BY real_source, real_id
"""


@dataclass(frozen=True)
class Joined:
    """What a join came to: rows written, and how many tries of each generator ended how (kept, nsfw, blank, nan or
    duplicate)."""

    rows: int
    tries: dict[str, dict[str, int]]


@contextmanager
def opened(workspace: Workspace, memory: str = "1GB") -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB connection that sees the workspace as `samples`, `prompts` and `catalog`.

    `memory` is what DuckDB may hold, such as 1GB; what does not fit is spilled into the workspace's manifest folder
    and removed at the end. Raises `UsageError` when a stage before this one has not run, or for a part of another
    version.
    """
    samples = list(sample_parts(workspace))
    if not samples:
        raise UsageError(f"{workspace.samples} holds no samples: run `cf-sample` first")
    prompts = list(prompt_parts(workspace)) if workspace.prompts.exists() else []
    with scratch_folder(workspace.manifest / ".spill") as spill, duckdb.connect() as connection:
        try:
            connection.execute("SET memory_limit = ?", [memory])
        except duckdb.Error as error:
            raise UsageError(f"--memory {memory!r} is not an amount of memory, such as 1GB") from error
        connection.execute("SET temp_directory = ?", [str(spill)])
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SET preserve_insertion_order = false")  # every query here that needs an order names it
        _view(connection, "samples", samples, Sample)
        _view(connection, "prompts", prompts, Prompt)
        _view(connection, "catalog", [workspace.catalog], CatalogEntry)
        yield connection


def write_join(workspace: Workspace, connection: duckdb.DuckDBPyConnection, path: Path) -> Joined:
    """Write the manifest's rows, not checked yet, to the file `path`; `connection` is one of `opened`.

    Raises `CommunityForensicsError` when a row lacks what every row has, or memory does not suffice.
    """
    schema = records.schema(ManifestRow)
    rows, tries = 0, defaultdict[str, dict[str, int]](dict)

    def write(query: str) -> int:
        written = 0
        for batch in connection.sql(query).to_arrow_reader(BATCH_ROWS):
            writer.write_table(_fitted(batch, schema), row_group_size=BATCH_ROWS)
            written += batch.num_rows
        return written

    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        try:
            connection.execute("CREATE TEMP TABLE used (prompt_id VARCHAR)")
            for parts in _parts_by_generators(workspace):
                connection.execute(_TRIES, [[_literal(part) for part in parts]])
                connection.execute("INSERT INTO used SELECT DISTINCT prompt_id FROM tries WHERE fate = 'kept'")
                for model_name, fate, count in connection.execute(
                    "SELECT model_name, fate, count(*) FROM tries GROUP BY ALL"
                ).fetchall():
                    tries[model_name][fate] = tries[model_name].get(fate, 0) + count
                rows += write(_FAKE)
            rows += write(_REAL)
        except duckdb.OutOfMemoryException as error:
            raise CommunityForensicsError(
                "the join does not fit into its memory; give it more with --memory, such as --memory 4GB"
            ) from error
    return Joined(rows, dict(tries))


def parquet_view(connection: duckdb.DuckDBPyConnection, name: str, paths: Iterable[Path]) -> None:
    """Make Parquet files of one schema a view of the connection."""
    connection.read_parquet([_literal(path) for path in paths]).create_view(name)


def _parts_by_generators(workspace: Workspace) -> Iterator[list[Path]]:
    """All sample parts, those of some generators at a time, in the order of the generators' names."""
    folders: dict[str, list[Path]] = {}
    for part in sample_parts(workspace):
        # The name of a folder with its slash again (`workspace.layout.generator_folder`): `a-b/c` is before `a/b`.
        folders.setdefault(part.parent.name.replace("--", "/"), []).append(part)
    names = iter(sorted(folders))
    while some := list(islice(names, GENERATORS_AT_ONCE)):
        yield [part for name in some for part in folders[name]]


def _view(connection: duckdb.DuckDBPyConnection, name: str, paths: list[Path], record: type) -> None:
    if not paths:
        connection.register(name, records.to_table(record, []))
        return
    for path in paths:
        records.read_table(path, record, columns=[])
    parquet_view(connection, name, paths)


def _literal(path: Path) -> str:
    # DuckDB takes every file name for a pattern; a bracket expression is its way to write a special character.
    return "".join(f"[{character}]" if character in "*?[" else character for character in str(path))


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
