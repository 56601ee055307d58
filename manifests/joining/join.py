"""The join of samples, catalogue and prompts, in bounded memory.

DuckDB reads the parts where they are, those of some generators at a time in the order of their names, so its memory
does not grow with the dataset; what still does not fit is spilled to the workspace's disk. Of the prompts it keeps
what the join needs, and each batch joins only the captions that its generators had. Rows are written in one fixed
order, so the same workspace gives the same bytes.

The values of a row are read once, into Arrow, while the rows before are worked on. DuckDB only finds their row numbers
(`_ROWS`) and sorts those, not the rows; the writer takes the values from there.

Decided here, because all rows must be known: whether an image is a duplicate and who else made it (`duplicates`), and
the split of a row (`batch_tables`).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from captioning.prompt import Prompt, prompt_parts
from crawler.catalog import CatalogEntry
from manifests.database import database, record_view, registered
from manifests.joining.batch_tables import create_tables
from manifests.joining.duplicates import find_duplicates
from manifests.joining.real_images import RealImages, UsedCaptions, write_real_images
from manifests.joining.relations import (
    BATCH_CAPTIONS,
    CAPTIONS,
    CATALOG,
    CATALOG_FILE,
    DUPLICATES,
    PROMPTS,
    SAMPLES,
    SHARED_IN_MANIFEST,
    SPLIT_ORDER,
    SPLITS,
)
from manifests.joining.row_writer import Columns, RowWriter, columns_of
from manifests.joining.sample_batches import batches, check_version, find_parts, sample_rows
from manifests.manifest import FAKE, ManifestRow
from manifests.options import BuildOptions
from manifests.relation import Relation
from manifests.rounds import ALL_ROUNDS
from manifests.splits import SplitAssignment
from manifests.tables.withheld import WithheldRow
from samplers.sample import Sample
from workspace import records
from workspace.errors import CommunityForensicsError
from workspace.layout import Workspace, generator_folder, generator_name

#: Rows of a piece of what Arrow holds: small pieces are allocated anew without asking the system.
_CHUNK_ROWS = 12_288

#: With more threads than this, what each of them needs would be most of the memory.
_THREADS = 4

_CATALOG = f"SELECT {CATALOG_FILE.column_list} FROM {CATALOG_FILE}"

#: What a sample has and neither the manifest nor a check takes from it as it is.
_NOT_TAKEN = set(records.schema(Sample).names).difference(
    records.schema(ManifestRow).names, (column.name for column in SAMPLES.columns)
)

# All samples of a batch. The row numbers of their generator and caption are added in Arrow (`_with_row_numbers`).
_SAMPLES = f"""
SELECT * EXCLUDE ({", ".join(sorted(_NOT_TAKEN))}, scheduler, has_exif, has_icc, has_c2pa, filename),
    image.path AS {SAMPLES.path},
    -- What is sampled here is a PNG that contains nothing but the picture (`samplers/child/png.py`).
    CASE WHEN {SAMPLES.origin} = 'sampled' THEN false ELSE has_exif END AS has_exif,
    CASE WHEN {SAMPLES.origin} = 'sampled' THEN false ELSE has_icc END AS has_icc,
    CASE WHEN {SAMPLES.origin} = 'sampled' THEN false ELSE has_c2pa END AS has_c2pa,
    nullif(scheduler, '') AS {SAMPLES.scheduler}, prompt IS NULL AS {SAMPLES.without_prompt},
    string_split(filename, '/')[-2] AS {SAMPLES.folder},
    CASE WHEN status <> 'ok' THEN status
        WHEN ({DUPLICATES.column_list}) IN (FROM {DUPLICATES}) THEN 'duplicate'
        ELSE 'kept' END AS {SAMPLES.result}
FROM {sample_rows("filename")}
"""

_BATCH_CAPTIONS = f"""
SELECT * EXCLUDE ({CAPTIONS.hash64}, {CAPTIONS.text64}, {CAPTIONS.redistributable}, {CAPTIONS.round}),
    rowid AS {BATCH_CAPTIONS.caption_row}
FROM {CAPTIONS}
SEMI JOIN (
    SELECT hash({SAMPLES.prompt_id}) AS {CAPTIONS.hash64} FROM {SAMPLES}
    WHERE {SAMPLES.prompt_id} IS NOT NULL) USING ({CAPTIONS.hash64})
"""

_TITLES = f"SELECT DISTINCT {CAPTIONS.real_source}::VARCHAR, {CAPTIONS.real_title}::VARCHAR FROM {CAPTIONS}"

_RESULTS = f"""
SELECT {SAMPLES.generator_row}, {SAMPLES.result}, count(*) FROM {SAMPLES}
WHERE {SAMPLES.generator_row} IS NOT NULL GROUP BY ALL
"""

# The rows of generated images, in order: where their values are (row numbers of the sample, of its generator and of its
# caption), and what is decided here. Samples of unknown generators are found by the checks.
_ROWS = f"""
SELECT s.{SAMPLES.row_number} AS sample, {SAMPLES.generator_row} AS catalog_row, s.{SAMPLES.caption} AS caption,
    CASE WHEN a.{SPLITS.split} < greatest(held.split, i.{SHARED_IN_MANIFEST.split}) THEN NULL
        ELSE a.{SPLITS.split}::VARCHAR END AS split,
    list_transform(
        list_filter(
            i.{SHARED_IN_MANIFEST.makers},
            lambda maker: maker.generator <> a.{SPLITS.generator} AND maker.round <= s.{SAMPLES.round}),
        lambda maker: maker.generator) AS others,
    CASE WHEN len(others) > 0 THEN others END AS also_by
FROM {SAMPLES} s
LEFT JOIN {SPLITS} a USING ({SPLITS.generator_row})
LEFT JOIN {SHARED_IN_MANIFEST} i USING ({SHARED_IN_MANIFEST.sha256})
LEFT JOIN (
    SELECT {BATCH_CAPTIONS.row_number} AS held_caption, {BATCH_CAPTIONS.held_split}::{SPLIT_ORDER} AS split
    FROM {BATCH_CAPTIONS} WHERE {BATCH_CAPTIONS.held_split} IS NOT NULL) held
ON s.{SAMPLES.caption} = held_caption
WHERE {SAMPLES.result} = 'kept' AND {SAMPLES.generator_row} IS NOT NULL
ORDER BY {SAMPLES.generator_row}, {SAMPLES.index}
"""


@dataclass(frozen=True)
class Joined:
    """What a join wrote: how many rows, which of them are real images; and for each generator, how many of its samples
    had which result (kept, duplicate, or why it was rejected)."""

    rows: int
    real: RealImages
    results: dict[str, dict[str, int]]


@contextmanager
def open_records(
    workspace: Workspace,
    memory: str = BuildOptions.memory,
    without: Collection[str] = (),
    last_round: int = ALL_ROUNDS,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB connection that sees the workspace's records of rounds up to `last_round` as `PARTS`, `PROMPTS` and
    `CATALOG`, and has found equal images (`duplicates`).

    The samples of generators named in `without` are not read. `memory` as for `database`, with its error. Raises
    `UsageError` when a stage before this one has not run, or for a part of another version; `CommunityForensicsError`,
    in the block too, when memory does not suffice.
    """
    with database(workspace, memory) as connection:
        connection.execute("SET preserve_insertion_order = false")  # every query here that needs an order names it
        # Queries here are written so that the smaller side is joined with; where DuckDB chooses, it holds the samples.
        connection.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")
        connection.execute(f"SET threads = least({_THREADS}, current_setting('threads'))")
        try:
            find_parts(workspace, connection, without, last_round)
            _view(connection, PROMPTS, prompt_parts(workspace), Prompt, last_round)
            _view(connection, CATALOG_FILE, [workspace.catalog], CatalogEntry, last_round)
            with registered(connection, {CATALOG: _catalog(connection)}):
                find_duplicates(connection, last_round)
                yield connection
        except (duckdb.OutOfMemoryException, OSError) as error:
            # While rows come as Arrow, its reader raises what DuckDB reported.
            if isinstance(error, OSError) and "Out of Memory Error" not in str(error):
                raise
            raise CommunityForensicsError(
                f"--memory {memory} is not enough for this workspace: give the join more, such as --memory 4GB"
            ) from error


def write_manifest(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    assignment: SplitAssignment,
    withheld: Path | None = None,
    metadata: Mapping[bytes, bytes] | None = None,
    real_per_generated: float = BuildOptions.real_per_generated,
    public_evaluation: bool = False,
    last_round: int = ALL_ROUNDS,
    check: Callable[[pa.Table], None] = lambda _samples: None,
) -> Joined:
    """Write the manifest's rows, not checked yet, to the file `path`; `connection` is one of `open_records`.

    `withheld` is for the public edition: the file for those real images that may not be passed on; without it they are
    in the manifest. `metadata` goes into the manifest's schema. `real_per_generated` and `public_evaluation` as in the
    options, `last_round` as for `open_records`. `check` is called with the samples of each batch, while the connection
    has them as `SAMPLES`, their captions as `BATCH_CAPTIONS`, and the `CATALOG`; it may raise. Raises
    `CommunityForensicsError` when a row lacks a value that every row has.
    """
    rows, results = 0, defaultdict[str, dict[str, int]](dict)
    create_tables(connection, assignment, last_round)
    in_rows = [name for name in records.schema(ManifestRow).names if name in {str(each) for each in CATALOG.columns}]
    query = f"SELECT {', '.join(in_rows)} FROM {CATALOG} ORDER BY {CATALOG.row_number}"
    catalog = connection.sql(query).to_arrow_table()
    names = catalog[CATALOG.generator.name].to_pylist()
    trains = np.array([assignment.splits.get(name) == "train" for name in names], bool)
    titles = dict(connection.execute(_TITLES).fetchall())
    used = UsedCaptions(connection)
    generated: Counter[tuple[int, str | None]] = Counter()
    listing = nullcontext() if withheld is None else RowWriter(withheld, WithheldRow)
    with RowWriter(path, ManifestRow, metadata) as manifest, listing as others:
        for samples in _read_ahead(connection, batches(connection, assignment.withheld), last_round):
            with registered(connection, {SAMPLES: samples}):
                captions = _numbered(connection, _BATCH_CAPTIONS)
            samples = _with_row_numbers(samples, catalog, captions)
            with registered(connection, {SAMPLES: samples, BATCH_CAPTIONS: captions}):
                used.add(*_captions_of_kept(samples, captions, trains))
                for generator, result, count in connection.execute(_RESULTS).fetchall():
                    results[names[generator]][result] = results[names[generator]].get(result, 0) + count
                check(samples)
                rows += manifest.write(
                    connection.sql(_ROWS), partial(_generated_images, generated, samples, catalog, captions, titles)
                )
            del samples, captions
        manifest.wait()
        real = write_real_images(connection, used, generated, real_per_generated, manifest, others, public_evaluation)
    return Joined(rows + real.written, real, dict(results))


def _read_ahead(
    connection: duckdb.DuckDBPyConnection, batched_paths: Iterable[list[str]], last_round: int
) -> Iterator[pa.Table]:
    """The samples of each batch of parts; the next batch is read while the caller works on this one."""
    with connection.cursor() as cursor, ThreadPoolExecutor(1) as thread:
        before: Future[pa.Table] | None = None
        for paths in batched_paths:
            reading = thread.submit(_numbered, cursor, _SAMPLES, [paths, last_round])
            if before is not None:
                yield before.result()
            before = reading
        if before is not None:
            yield before.result()


def _numbered(connection: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[object] = ()) -> pa.Table:
    """The rows of a query, in Arrow, with their `row_number`."""
    table = connection.sql(query, params=parameters).to_arrow_reader(_CHUNK_ROWS).read_all()
    return table.append_column(SAMPLES.row_number.name, pa.arange(0, table.num_rows))


def _catalog(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """The rows of `CATALOG`, in the order of the generators' names."""
    catalog = connection.sql(_CATALOG).to_arrow_table()
    keys = (CATALOG.model_name, CATALOG.revision, CATALOG.further_revision)
    names = [generator_name(*key) for key in zip(*(catalog[key.name].to_pylist() for key in keys), strict=True)]
    catalog = catalog.append_column(CATALOG.generator.name, pa.array(names, pa.string()))
    catalog = catalog.append_column(CATALOG.folder.name, pa.array(map(generator_folder, names), pa.string()))
    catalog = catalog.sort_by([(CATALOG.generator.name, "ascending"), (CATALOG.revision.name, "ascending")])
    return catalog.append_column(CATALOG.row_number.name, pa.arange(0, len(catalog)))


def _with_row_numbers(samples: pa.Table, catalog: pa.Table, captions: pa.Table) -> pa.Table:
    """Samples with the row numbers of their `generator` in the catalogue and of their `caption`; null: not there.

    Found once for all queries, because numbers are joined faster than texts.
    """
    keys = [SAMPLES.model_name.name, SAMPLES.revision.name]
    pinned, known = (pc.binary_join_element_wise(*(table[key] for key in keys), "@") for table in (samples, catalog))
    samples = samples.append_column(SAMPLES.generator_row.name, pc.index_in(pinned, known.combine_chunks()))
    prompt_ids = captions[BATCH_CAPTIONS.prompt_id.name].combine_chunks()
    return samples.append_column(SAMPLES.caption.name, pc.index_in(samples[SAMPLES.prompt_id.name], prompt_ids))


def _captions_of_kept(
    samples: pa.Table, captions: pa.Table, trains: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows of `CAPTIONS` that kept images were made from, in which round, and whether for training; `trains`: for
    each generator of the catalogue whether it is in the train split."""
    columns = samples.select([SAMPLES.generator_row.name, SAMPLES.caption.name, SAMPLES.round.name])
    kept = columns.filter(pc.equal(samples[SAMPLES.result.name], "kept")).drop_null()
    generator, caption, made_in = (column.to_numpy() for column in kept.columns)
    return captions[BATCH_CAPTIONS.caption_row.name].to_numpy()[caption], made_in, trains[generator]


def _generated_images(
    generated: Counter[tuple[int, str | None]],
    samples: pa.Table,
    catalog: pa.Table,
    captions: pa.Table,
    titles: Mapping[str, str],
    rows: pa.RecordBatch,
) -> Columns:
    """The manifest's columns of generated images; `rows` are those of `_ROWS`. Counts in `generated` how many each
    round and split has."""
    left = set(records.schema(ManifestRow).names) - set(catalog.column_names)
    columns: Columns = {"label": pa.repeat(pa.scalar(FAKE, pa.int64()), rows.num_rows)}
    for table, row_numbers in ((captions, rows.column("caption")), (samples, rows.column("sample"))):
        columns |= columns_of(table.select(left.intersection(table.column_names) - columns.keys()).take(row_numbers))
    columns |= _named_sources(columns, samples.select([SAMPLES.real_source.name]).take(rows.column("sample")), titles)
    # Many rows have one generator.
    generators = rows.column("catalog_row").dictionary_encode()
    columns |= {
        name: _spread(values, generators.indices)
        for name, values in columns_of(catalog.take(generators.dictionary)).items()
    }
    columns |= {name: rows.column(name) for name in ("split", "also_by")}
    by_round = pa.table({name: columns[name] for name in ("round", "split")}).group_by(["round", "split"])
    for found in by_round.aggregate([([], "count_all")]).to_pylist():
        generated[found["round"], found["split"]] += found["count_all"]
    return columns


def _named_sources(columns: Columns, samples: pa.Table, titles: Mapping[str, str]) -> Columns:
    """The real source of imported images without a caption of ours, as the user named it, and its published name;
    nothing where no row is of such an image. `titles`: the published names of the sources in prompts/."""
    named = pc.and_(pc.equal(columns["origin"], "imported"), pc.is_null(columns["real_source"]))
    if not pc.any(named).as_py():
        return {}
    source = pc.if_else(named, samples.column(SAMPLES.real_source.name), columns["real_source"].cast(pa.string()))
    known = pc.dictionary_encode(source.combine_chunks())
    shown = pa.array([titles.get(name, name) for name in known.dictionary.to_pylist()], pa.string())
    title = pc.if_else(named, shown.take(known.indices), columns["real_title"].cast(pa.string()))
    return {"real_source": source, "real_title": title}


def _spread(values: pa.ChunkedArray, row_numbers: pa.Array) -> pa.Array:
    """The values of these rows, texts as a dictionary."""
    if values.type != pa.string():
        return values.take(row_numbers)
    encoded = pc.dictionary_encode(values.combine_chunks())
    return pa.DictionaryArray.from_arrays(encoded.indices.take(row_numbers), encoded.dictionary)


def _view(
    connection: duckdb.DuckDBPyConnection, relation: Relation, paths: list[Path], record: type, last_round: int
) -> None:
    check_version(connection, paths, record)
    record_view(connection, str(relation), paths, record, f"round <= {last_round}")
