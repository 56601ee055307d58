"""Real images whose files are equal: in several sources, or twice in one. Each such file is one image and one row.

Its terms are the strictest of all of them: whoever may pass it on by one source's terms only, may not. One that may not
be passed on is stricter than one of which that is unknown, and this one than one that may; of equal ones the family of
the licence decides (`crawler.card.licenses`), then the name of the image.
"""

import duckdb
import pyarrow as pa

from crawler.card.licenses import STRICTNESS, license_of
from manifests.database import registered
from manifests.joining.relations import EQUAL_FILES, IMAGES, LICENSE_RANKS, NUMBERED_CAPTIONS, PROMPTS

_EQUAL_FILES = f"""
SELECT {EQUAL_FILES.real_sha256}, {EQUAL_FILES.names}, unnest(strictest)
FROM (
    SELECT {EQUAL_FILES.real_sha256}, list(DISTINCT image ORDER BY image) AS {EQUAL_FILES.names},
        list(terms ORDER BY passing, strictness DESC, image.real_image)[1] AS strictest
    FROM (
        SELECT {PROMPTS.real_sha256},
            {{'real_image': concat({PROMPTS.real_source}, '/', {PROMPTS.real_id}),
              'round': min({PROMPTS.round}) OVER (PARTITION BY {PROMPTS.real_source}, {PROMPTS.real_id})}} AS image,
            struct_pack({PROMPTS.license}, {PROMPTS.license_link}, {PROMPTS.redistributable}) AS terms,
            CASE {PROMPTS.redistributable} WHEN false THEN 0 WHEN true THEN 2 ELSE 1 END AS passing,
            coalesce({LICENSE_RANKS.rank}, {STRICTNESS.index("unknown")}) AS strictness
        FROM {PROMPTS} SEMI JOIN (
            SELECT {NUMBERED_CAPTIONS.real_sha256} FROM {NUMBERED_CAPTIONS}
            SEMI JOIN (
                SELECT {IMAGES.unused_row} AS {NUMBERED_CAPTIONS.caption_row} FROM {IMAGES}
                WHERE {IMAGES.captions} > 1) USING ({NUMBERED_CAPTIONS.caption_row})
        ) USING ({PROMPTS.real_sha256})
        LEFT JOIN {LICENSE_RANKS} USING ({LICENSE_RANKS.license}))
    GROUP BY {EQUAL_FILES.real_sha256} HAVING count(DISTINCT image) > 1)
"""


def find_equal_files(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the table `EQUAL_FILES` of a connection that has `PROMPTS`, `NUMBERED_CAPTIONS` and `IMAGES`."""
    with registered(connection, {LICENSE_RANKS: _ranks(connection)}):
        EQUAL_FILES.create(connection, _EQUAL_FILES)


def _ranks(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    query = f"SELECT DISTINCT {PROMPTS.license} FROM {PROMPTS} WHERE {PROMPTS.license} IS NOT NULL"
    licenses = [name for (name,) in connection.execute(query).fetchall()]
    ranks = [STRICTNESS.index(license_of({"license": name}, ()).license_family) for name in licenses]
    return pa.table(
        {
            LICENSE_RANKS.license.name: pa.array(licenses, pa.string()),
            LICENSE_RANKS.rank.name: pa.array(ranks, pa.int32()),
        }
    )
