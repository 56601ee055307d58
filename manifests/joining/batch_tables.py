"""The tables that every batch of samples is joined with: splits, captions, and the images of several generators.

A real image, a caption and a generated image are in one split only: what several have belongs to `test` before
`validation`, and to both before `train`; the rows of the others that share it are in no split.
"""

from typing import get_args

import duckdb
import pyarrow as pa

from crawler.holdout import Split
from manifests.database import parquet_files, registered
from manifests.joining.relations import (
    ASSIGNED_SPLITS,
    CAPTIONS,
    CATALOG,
    DUPLICATES,
    HELD_PROMPTS,
    PROMPTS,
    REPEATED_TEXT,
    SHARED_IMAGES,
    SHARED_IN_MANIFEST,
    SPLIT_ORDER,
    SPLITS,
)
from manifests.joining.sample_batches import batches
from manifests.splits import SplitAssignment

_SPLIT_ORDER = f"CREATE TYPE {SPLIT_ORDER} AS ENUM {get_args(Split)}"

_SPLITS = f"""
SELECT min({CATALOG.row_number}) AS {SPLITS.generator}, {SPLITS.model_name},
    any_value({ASSIGNED_SPLITS.split})::{SPLIT_ORDER} AS {SPLITS.split}
FROM {ASSIGNED_SPLITS} JOIN {CATALOG} USING ({CATALOG.model_name}) GROUP BY {SPLITS.model_name}
"""

_HELD_PROMPTS = f"""
INSERT INTO {HELD_PROMPTS}
SELECT DISTINCT hash(prompt_id), {SPLITS.split} FROM {parquet_files()}
JOIN (FROM {SPLITS} WHERE {SPLITS.split} IN ('validation', 'test')) USING ({SPLITS.model_name})
ANTI JOIN {DUPLICATES} USING ({DUPLICATES.column_list})
WHERE status = 'ok' AND prompt_id IS NOT NULL
"""

# In order, because its values are written in that order to the manifest.
_REPEATED_TEXT = f"""
CREATE TYPE {REPEATED_TEXT} AS ENUM (
    SELECT DISTINCT word
    FROM {PROMPTS}, unnest([
        {PROMPTS.caption_origin}, {PROMPTS.captioner}, {PROMPTS.real_title}, {PROMPTS.real_source}]) AS words(word)
    WHERE word IS NOT NULL ORDER BY word)
"""

# One real image may have several captions, and be in several data sets; several images may have one caption.
_CAPTIONS = f"""
WITH held AS (
        SELECT {PROMPTS.real_sha256}, hash({PROMPTS.prompt}) AS text64, {HELD_PROMPTS.split} FROM {PROMPTS}
        JOIN {HELD_PROMPTS} ON hash({PROMPTS.prompt_id}) = {HELD_PROMPTS.hash64}),
    images AS (SELECT {PROMPTS.real_sha256}, max({HELD_PROMPTS.split}) AS of_image FROM held GROUP BY ALL),
    texts AS (SELECT text64, max({HELD_PROMPTS.split}) AS of_text FROM held GROUP BY ALL)
SELECT hash({PROMPTS.prompt_id}) AS {CAPTIONS.hash64}, {PROMPTS.prompt_id},
    {PROMPTS.caption_origin}::{REPEATED_TEXT} AS {CAPTIONS.caption_origin},
    {PROMPTS.captioner}::{REPEATED_TEXT} AS {CAPTIONS.captioner},
    {PROMPTS.real_title}::{REPEATED_TEXT} AS {CAPTIONS.real_title},
    {PROMPTS.real_source}::{REPEATED_TEXT} AS {CAPTIONS.real_source},
    {PROMPTS.real_id}, {PROMPTS.real_sha256},
    of_image AS {CAPTIONS.image_split}, greatest(of_image, of_text) AS {CAPTIONS.held_split},
    hash({PROMPTS.prompt}) AS {CAPTIONS.text64}
FROM {PROMPTS} LEFT JOIN images USING ({PROMPTS.real_sha256}) LEFT JOIN texts ON hash({PROMPTS.prompt}) = text64
"""

# An image counts as shared where several of those who made it are in the manifest.
_SHARED_IN_MANIFEST = f"""
SELECT {SHARED_IMAGES.sha256}, list(model_name ORDER BY model_name) AS {SHARED_IN_MANIFEST.model_names},
    max({SPLITS.split}) AS {SHARED_IN_MANIFEST.split}
FROM (SELECT {SHARED_IMAGES.sha256}, unnest({SHARED_IMAGES.model_names}) AS model_name FROM {SHARED_IMAGES})
LEFT JOIN {SPLITS} USING (model_name)
WHERE model_name NOT IN (SELECT unnest(?::VARCHAR[])) GROUP BY {SHARED_IMAGES.sha256} HAVING count(*) > 1
"""


def create_tables(connection: duckdb.DuckDBPyConnection, assignment: SplitAssignment) -> None:
    """Create them; `connection` has the `PARTS`, `PROMPTS`, `CATALOG`, `DUPLICATES` and `SHARED_IMAGES`."""
    assigned = pa.table(
        {
            ASSIGNED_SPLITS.model_name.name: pa.array(assignment.splits.keys(), pa.string()),
            ASSIGNED_SPLITS.split.name: pa.array(assignment.splits.values(), pa.string()),
        }
    )
    connection.execute(_SPLIT_ORDER)
    with registered(connection, {ASSIGNED_SPLITS: assigned}):
        SPLITS.create(connection, _SPLITS)
    HELD_PROMPTS.create_empty(connection)
    others = {name for name, split in assignment.splits.items() if split in (None, "train")}
    if len(others) < len(assignment.splits):
        for paths in batches(connection, others | assignment.withheld):
            connection.execute(_HELD_PROMPTS, [paths])
    connection.execute(_REPEATED_TEXT)
    CAPTIONS.create(connection, _CAPTIONS)
    SHARED_IN_MANIFEST.create(connection, _SHARED_IN_MANIFEST, [sorted(assignment.withheld)])
