"""The join of samples, catalogue and prompts, in bounded memory.

DuckDB reads the parts where they lie, those of some generators at a time in the order of their names, so what it holds
does not grow with the dataset; what still does not fit is spilled to the workspace's disk. Of the prompts, the join
holds only what it needs, and each time joins those only that these generators had. Rows come out in one fixed order, so
the same workspace gives the same bytes.

What a row has is read once, into Arrow, while the rows before are worked on. DuckDB is asked only where its pieces lie
(`_PLACES`) and sorts those numbers, not the rows; the writer takes the pieces from there.

What is decided here because all rows must be known: whether an image is a duplicate, who else made it (`repeats`), and
the split of a row, for a real image whose caption a test generator had must not come to training by another way.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from manifests.database import database, record_view, seen
from manifests.joining.duplicates import find_repeats
from manifests.joining.real_images import UsedCaptions, write_real_images
from manifests.joining.row_writer import Columns, RowWriter, named
from manifests.joining.sample_batches import batches, check_version, find_parts
from manifests.manifest import FAKE, ManifestRow
from manifests.options import BuildOptions
from manifests.splits import SplitAssignment
from manifests.tables.withheld import WithheldRow
from workspace import records
from workspace.errors import CommunityForensicsError
from workspace.layout import Workspace

#: Rows of a piece of what Arrow holds: small pieces are allocated anew without asking the system.
_CHUNK_ROWS = 12_288

#: With more threads than this, what each of them needs would be most of the memory.
_THREADS = 4

_CATALOG = """
SELECT model_name, revision, subset, architecture, license, license_source, license_family, hf_pipeline_tag,
    hf_diffusers_tag, task, kind, base_model, lineage
FROM catalog_file ORDER BY model_name, revision
"""

# What the join needs of prompts; `mark` stands for the id, for numbers are found faster than texts. `held`: a test
# generator made an image of the caption of this photograph, which may be in several data sets.
_CAPTIONS = """
CREATE TEMP TABLE captions AS
SELECT hash(prompt_id) AS mark, prompt_id, caption_origin::said AS caption_origin, captioner::said AS captioner,
    real_title::said AS real_title, real_source::said AS real_source, real_id, real_sha256,
    real_sha256 IN (
        SELECT real_sha256 FROM prompts WHERE hash(prompt_id) IN (FROM asked_of_test)) AS held
FROM prompts
"""

# What very many captions have in common: kept, and handed to Arrow, as numbers; in order, for these are written.
_SAID = """
CREATE TYPE said AS ENUM (
    SELECT DISTINCT word FROM prompts, unnest([caption_origin, captioner, real_title, real_source]) AS words(word)
    WHERE word IS NOT NULL ORDER BY word)
"""

_ASKED_OF_TEST = """
INSERT INTO asked_of_test
SELECT DISTINCT hash(prompt_id) FROM read_parquet(?)
SEMI JOIN (FROM divided WHERE split = 'test') USING (model_name)
ANTI JOIN duplicates USING (model_name, revision, "index")
WHERE status = 'ok' AND prompt_id IS NOT NULL
"""

# All tries of some generators: `fate` is what became of one, `folder` the one in which its part lies. The places of its
# generator and its caption are added (`_resolved`).
_TRIES = """
SELECT * EXCLUDE (image, scheduler, filename), image.path AS path, nullif(scheduler, '') AS scheduler,
    prompt IS NULL AS unprompted, string_split(filename, '/')[-2] AS folder,
    CASE WHEN status <> 'ok' THEN status
        WHEN (model_name, revision, "index") IN (FROM duplicates) THEN 'duplicate'
        ELSE 'kept' END AS fate
FROM read_parquet(?, filename = true)
"""

# The captions that these tries had.
_TOLD = """
SELECT * EXCLUDE (mark), rowid AS caption_row FROM captions
SEMI JOIN (SELECT hash(prompt_id) AS mark FROM tries WHERE prompt_id IS NOT NULL) USING (mark)
"""

_DIVIDED = """
CREATE TEMP TABLE divided AS
SELECT min(place) AS generator, model_name, split FROM splits JOIN catalog USING (model_name) GROUP BY ALL
"""

_FATES = "SELECT generator, fate, count(*) FROM tries WHERE generator IS NOT NULL GROUP BY ALL"

# The rows of generated images, as places: of the try, of its generator in the catalogue, of its caption. What has no
# generator there, the checks tell.
_PLACES = """
SELECT t.place AS try, generator, t.caption,
    CASE WHEN d.split = 'train' AND t.caption IN (SELECT place FROM told WHERE held) THEN NULL
        ELSE d.split END AS split,
    list_filter(m.makers, lambda maker: maker <> t.model_name) AS also_by
FROM tries t
LEFT JOIN divided d USING (generator)
LEFT JOIN shown m USING (sha256)
WHERE fate = 'kept' AND generator IS NOT NULL
ORDER BY generator, "index"
"""

# An image counts as shared where several of those who made it are in the manifest.
_SHOWN = """
CREATE TEMP TABLE shown AS
SELECT sha256, list(maker ORDER BY maker) AS makers
FROM (SELECT sha256, unnest(makers) AS maker FROM shared)
WHERE maker NOT IN (SELECT unnest(?::VARCHAR[])) GROUP BY sha256 HAVING count(*) > 1
"""


@dataclass(frozen=True)
class Joined:
    """What a join came to: rows written, real images left out, and how many tries of each generator ended how (kept,
    nsfw, blank, nan or duplicate)."""

    rows: int
    withheld: int
    tries: dict[str, dict[str, int]]


@contextmanager
def opened(workspace: Workspace, memory: str = BuildOptions.memory) -> Iterator[duckdb.DuckDBPyConnection]:
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
            find_repeats(connection)
            with seen(connection, catalog=_table(connection, _CATALOG)):
                yield connection
        except (duckdb.OutOfMemoryException, OSError) as error:
            # While rows come as Arrow, its reader tells what befell DuckDB.
            if isinstance(error, OSError) and "Out of Memory Error" not in str(error):
                raise
            raise CommunityForensicsError(
                "the join does not fit into its memory; give it more with --memory, such as --memory 4GB"
            ) from error


def write_join(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    division: SplitAssignment,
    withheld: Path | None = None,
    metadata: Mapping[bytes, bytes] | None = None,
    look: Callable[[pa.Table], None] = lambda _tries: None,
) -> Joined:
    """Write the manifest's rows, not checked yet, to the file `path`; `connection` is one of `opened`.

    `withheld` is for the public edition: the file for those real images that may not be passed on; without it they are
    in the manifest. `metadata` goes into the manifest's schema. `look` is called with the tries of some generators at a
    time, when the connection has them as `tries`, the `catalog` and the captions they were `told`, for the checks of
    rows, and may raise. Raises `CommunityForensicsError` when a row lacks what every row has.
    """
    rows, fates = 0, defaultdict[str, dict[str, int]](dict)
    _prepare(connection, division)
    catalog = _table(connection, "SELECT * EXCLUDE (place) FROM catalog ORDER BY place")
    names = catalog["model_name"].to_pylist()
    trains = np.array([division.splits.get(name) == "train" for name in names], bool)
    used = UsedCaptions(connection)
    listing = nullcontext() if withheld is None else RowWriter(withheld, WithheldRow)
    with RowWriter(path, ManifestRow, metadata) as manifest, listing as others:
        for tries in _read_ahead(connection, batches(connection, division.withheld)):
            with seen(connection, tries=tries):
                told = _table(connection, _TOLD)
            tries = _resolved(tries, catalog, told)
            with seen(connection, tries=tries, told=told):
                used.add(*_asked(tries, told, trains))
                for generator, fate, count in connection.execute(_FATES).fetchall():
                    fates[names[generator]][fate] = fates[names[generator]].get(fate, 0) + count
                look(tries)
                rows += manifest.write(connection.sql(_PLACES), partial(_generated, tries, catalog, told))
            del tries, told
        real, listed = write_real_images(connection, used, manifest, others)
    return Joined(rows + real, listed, dict(fates))


def _read_ahead(connection: duckdb.DuckDBPyConnection, some: Iterable[list[str]]) -> Iterator[pa.Table]:
    """The tries of each batch of parts; the next are read while who asked works on these."""
    with connection.cursor() as beside, ThreadPoolExecutor(1) as thread:
        before: Future[pa.Table] | None = None
        for paths in some:
            reading = thread.submit(_table, beside, _TRIES, [paths])
            if before is not None:
                yield before.result()
            before = reading
        if before is not None:
            yield before.result()


def _table(connection: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[object] = ()) -> pa.Table:
    """What a query gives, in Arrow, with each row's `place` in it."""
    table = connection.sql(query, params=parameters).to_arrow_reader(_CHUNK_ROWS).read_all()
    return table.append_column("place", pa.arange(0, table.num_rows))


def _resolved(tries: pa.Table, catalog: pa.Table, told: pa.Table) -> pa.Table:
    """Tries with the places of their `generator` in the catalogue and of their `caption`; null: it is not there.

    Once for all that is asked of them, because numbers are joined faster than texts.
    """
    generator, known = (pc.binary_join_element_wise(t["model_name"], t["revision"], "@") for t in (tries, catalog))
    tries = tries.append_column("generator", pc.index_in(generator, known.combine_chunks()))
    return tries.append_column("caption", pc.index_in(tries["prompt_id"], told["prompt_id"].combine_chunks()))


def _asked(tries: pa.Table, told: pa.Table, trains: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows of `captions` that kept images were made of, and whether for training; `trains`: which generators do."""
    kept = tries.select(["generator", "caption"]).filter(pc.equal(tries["fate"], "kept")).drop_null()
    generator, caption = (column.to_numpy() for column in kept.columns)
    return told["caption_row"].to_numpy()[caption], trains[generator]


def _generated(tries: pa.Table, catalog: pa.Table, told: pa.Table, places: pa.RecordBatch) -> Columns:
    """The columns of generated images that lie at these places (`_PLACES`)."""
    wanted = {*records.schema(ManifestRow).names, "real_title"} - set(catalog.column_names)
    columns: Columns = {"label": pa.repeat(pa.scalar(FAKE, pa.int64()), places.num_rows)}
    for table, which in ((told, "caption"), (tries, "try")):
        columns |= named(table.select(wanted.intersection(table.column_names)).take(places.column(which)))
    columns["real_source"] = pc.coalesce(columns["real_title"], columns["real_source"])
    # Many rows have one generator.
    generators = places.column("generator").dictionary_encode()
    columns |= {
        name: _spread(values, generators.indices) for name, values in named(catalog.take(generators.dictionary)).items()
    }
    return columns | {name: places.column(name) for name in ("split", "also_by")}


def _spread(values: pa.ChunkedArray, places: pa.Array) -> pa.Array:
    """The values at these places, texts as a dictionary."""
    if values.type != pa.string():
        return values.take(places)
    encoded = pc.dictionary_encode(values.combine_chunks())
    return pa.DictionaryArray.from_arrays(encoded.indices.take(places), encoded.dictionary)


def _prepare(connection: duckdb.DuckDBPyConnection, division: SplitAssignment) -> None:
    """The tables that every batch is joined with, and those that batches add to."""
    splits = pa.table(
        {
            "model_name": pa.array(division.splits.keys(), pa.string()),
            "split": pa.array(division.splits.values(), pa.string()),
        }
    )
    with seen(connection, splits=splits):
        connection.execute(_DIVIDED)
    connection.execute("CREATE TEMP TABLE asked_of_test (mark UBIGINT)")
    others = {name for name, split in division.splits.items() if split != "test"}
    if len(others) < len(division.splits):
        for paths in batches(connection, others | division.withheld):
            connection.execute(_ASKED_OF_TEST, [paths])
    connection.execute(_SAID)
    connection.execute(_CAPTIONS)
    connection.execute(_SHOWN, [sorted(division.withheld)])


def _view(connection: duckdb.DuckDBPyConnection, name: str, paths: list[Path], record: type) -> None:
    check_version(connection, paths, record)
    record_view(connection, name, paths, record)
