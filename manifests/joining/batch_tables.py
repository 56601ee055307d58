"""The tables that every batch of samples is joined with: splits, captions, and the images of several generators.

A real image, a caption and a generated image are in one split only: what several have belongs to `test` before
`validation`, and to both before `train`; the rows of the others that share it are in no split.
"""

from typing import get_args

import duckdb
import pyarrow as pa

from crawler.holdout import Split
from manifests.database import registered
from manifests.joining.relations import (
    ASSIGNED_SPLITS,
    CAPTIONS,
    CATALOG,
    DUPLICATES,
    HELD_CAPTIONS,
    HELD_PROMPTS,
    PROMPTS,
    REPEATED_TEXT,
    SHARED_IMAGES,
    SHARED_IN_MANIFEST,
    SPLIT_ORDER,
    SPLITS,
)
from manifests.joining.sample_batches import batches, sample_rows
from manifests.splits import SplitAssignment

_SPLIT_ORDER = f"CREATE TYPE {SPLIT_ORDER} AS ENUM {get_args(Split)}"

_SPLITS = f"""
SELECT min({CATALOG.row_number}) AS {SPLITS.generator_row}, {SPLITS.generator},
    any_value({CATALOG.model_name}) AS {SPLITS.model_name}, any_value({CATALOG.revision}) AS {SPLITS.revision},
    any_value({ASSIGNED_SPLITS.split})::{SPLIT_ORDER} AS {SPLITS.split}
FROM {ASSIGNED_SPLITS} JOIN {CATALOG} USING ({CATALOG.generator}) GROUP BY {SPLITS.generator}
"""

_HELD_PROMPTS = f"""
INSERT INTO {HELD_PROMPTS}
SELECT hash(prompt_id), {SPLITS.split}, min(round) FROM {sample_rows()}
JOIN (FROM {SPLITS} WHERE {SPLITS.split} IN ('validation', 'test')) USING ({SPLITS.model_name}, {SPLITS.revision})
ANTI JOIN {DUPLICATES} USING ({DUPLICATES.column_list})
WHERE status = 'ok' AND prompt_id IS NOT NULL GROUP BY ALL
"""

_HELD_CAPTIONS = f"""
SELECT {PROMPTS.real_sha256}, hash({PROMPTS.prompt}) AS {HELD_CAPTIONS.text64}, h.{HELD_PROMPTS.split},
    h.{HELD_PROMPTS.round}
FROM {PROMPTS} JOIN {HELD_PROMPTS} h ON hash({PROMPTS.prompt_id}) = h.{HELD_PROMPTS.hash64}
"""

# In order, because its values are written in that order to the manifest.
_REPEATED_TEXT = f"""
CREATE TYPE {REPEATED_TEXT} AS ENUM (
    SELECT DISTINCT word
    FROM {PROMPTS}, unnest([
        {PROMPTS.caption_origin}, {PROMPTS.captioner}, {PROMPTS.real_title}, {PROMPTS.real_source}]) AS words(word)
    WHERE word IS NOT NULL ORDER BY word)
"""

#: The last split that had a caption of an image (`of_image`), and a text (`of_text`), up to a round, which is the
#: parameter of both.
HELD_IMAGES = f"""
SELECT {HELD_CAPTIONS.real_sha256}, max({HELD_CAPTIONS.split}) AS of_image FROM {HELD_CAPTIONS}
WHERE {HELD_CAPTIONS.round} <= ? GROUP BY {HELD_CAPTIONS.real_sha256}
"""
HELD_TEXTS = f"""
SELECT {HELD_CAPTIONS.text64}, max({HELD_CAPTIONS.split}) AS of_text FROM {HELD_CAPTIONS}
WHERE {HELD_CAPTIONS.round} <= ? GROUP BY {HELD_CAPTIONS.text64}
"""

# One real image may have several captions, and be in several data sets; several images may have one caption.
_CAPTIONS = f"""
SELECT hash({PROMPTS.prompt_id}) AS {CAPTIONS.hash64}, {PROMPTS.prompt_id},
    {PROMPTS.caption_origin}::{REPEATED_TEXT} AS {CAPTIONS.caption_origin},
    {PROMPTS.captioner}::{REPEATED_TEXT} AS {CAPTIONS.captioner},
    {PROMPTS.real_title}::{REPEATED_TEXT} AS {CAPTIONS.real_title},
    {PROMPTS.real_source}::{REPEATED_TEXT} AS {CAPTIONS.real_source},
    {PROMPTS.real_id}, {PROMPTS.real_sha256},
    of_image AS {CAPTIONS.image_split}, greatest(of_image, of_text) AS {CAPTIONS.held_split},
    hash({PROMPTS.prompt}) AS {CAPTIONS.text64},
    coalesce({PROMPTS.redistributable}, false) AS {CAPTIONS.redistributable}, {PROMPTS.round}
FROM {PROMPTS} LEFT JOIN ({HELD_IMAGES}) USING ({PROMPTS.real_sha256})
LEFT JOIN ({HELD_TEXTS}) ON hash({PROMPTS.prompt}) = {HELD_CAPTIONS.text64}
"""

# An image counts as shared where several of those who made it are in the manifest.
_SHARED_IN_MANIFEST = f"""
SELECT {SHARED_IMAGES.sha256}, list(maker ORDER BY maker) AS {SHARED_IN_MANIFEST.makers},
    max({SPLITS.split}) AS {SHARED_IN_MANIFEST.split}
FROM (SELECT {SHARED_IMAGES.sha256}, unnest({SHARED_IMAGES.makers}) AS maker FROM {SHARED_IMAGES})
LEFT JOIN {SPLITS} ON {SPLITS.generator} = maker.generator
WHERE maker.generator NOT IN (SELECT unnest(?::VARCHAR[])) GROUP BY {SHARED_IMAGES.sha256} HAVING count(*) > 1
"""


def create_tables(connection: duckdb.DuckDBPyConnection, assignment: SplitAssignment, last_round: int) -> None:
    """Create them, of samples of rounds up to `last_round`; `connection` has the `PARTS`, `PROMPTS`, `CATALOG`,
    `DUPLICATES` and `SHARED_IMAGES`."""
    assigned = pa.table(
        {
            ASSIGNED_SPLITS.generator.name: pa.array(assignment.splits.keys(), pa.string()),
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
            connection.execute(_HELD_PROMPTS, [paths, last_round])
    HELD_CAPTIONS.create(connection, _HELD_CAPTIONS)
    connection.execute(_REPEATED_TEXT)
    CAPTIONS.create(connection, _CAPTIONS, [last_round, last_round])
    SHARED_IN_MANIFEST.create(connection, _SHARED_IN_MANIFEST, [sorted(assignment.withheld)])
