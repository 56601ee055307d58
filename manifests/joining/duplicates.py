"""Images that were made more than once: again by the same generator, or by several.

Equal means: of equal sha256. It is found in bounded memory: first by the eight bytes that are known of each image
(`IMAGE_HASHES`), then by the rows whose eight bytes occur more than once. These are few, and so are their parts, which
alone are read again.
"""

import duckdb

from manifests.joining.relations import (
    CATALOG,
    DUPLICATES,
    IMAGE_HASHES,
    PARTS,
    REPEATED_HASHES,
    REPEATED_IMAGES,
    SHARED_IMAGES,
)
from manifests.joining.sample_batches import batches, sample_rows

_HASHES = f"""
SELECT {IMAGE_HASHES.hash64} FROM {IMAGE_HASHES} WHERE {IMAGE_HASHES.hash64} IS NOT NULL
GROUP BY {IMAGE_HASHES.hash64} HAVING count(*) > 1
"""
_PARTS_OF_HASHES = f"""
SELECT {PARTS.path} FROM {PARTS}
WHERE {PARTS.part} IN (
    SELECT {IMAGE_HASHES.part} FROM {IMAGE_HASHES} SEMI JOIN {REPEATED_HASHES} USING ({REPEATED_HASHES.hash64}))
"""
_IMAGES = f"""
INSERT INTO {REPEATED_IMAGES} BY NAME
SELECT model_name, revision, "index", round, sha256 FROM {sample_rows()}
WHERE status = 'ok' AND hash(sha256) IN (FROM {REPEATED_HASHES})
"""

# Of equal images of a generator, the one of the lowest index is kept.
_LATER_ONES = f"""
SELECT {DUPLICATES.column_list} FROM {REPEATED_IMAGES}
QUALIFY row_number() OVER (
    PARTITION BY {REPEATED_IMAGES.model_name}, {REPEATED_IMAGES.revision}, {REPEATED_IMAGES.sha256}
    ORDER BY {REPEATED_IMAGES.index}) > 1
"""
_BY_SEVERAL = f"""
SELECT {REPEATED_IMAGES.sha256},
    list({{'generator': {CATALOG.generator}, 'round': first_made}} ORDER BY {CATALOG.generator})
        AS {SHARED_IMAGES.makers}
FROM (
    SELECT {REPEATED_IMAGES.sha256}, {CATALOG.generator}, min({REPEATED_IMAGES.round}) AS first_made
    FROM {REPEATED_IMAGES} JOIN {CATALOG} USING ({CATALOG.model_name}, {CATALOG.revision}) GROUP BY ALL)
GROUP BY {REPEATED_IMAGES.sha256} HAVING count(*) > 1
"""
_SETS_OF_GENERATORS = f"""
SELECT DISTINCT list_transform({SHARED_IMAGES.makers}, lambda maker: maker.generator) AS generators
FROM {SHARED_IMAGES} ORDER BY generators
"""


def find_duplicates(connection: duckdb.DuckDBPyConnection, last_round: int) -> None:
    """Create the tables `DUPLICATES` and `SHARED_IMAGES` of a connection that has the `CATALOG`, `PARTS` and
    `IMAGE_HASHES`, which is then removed."""
    REPEATED_IMAGES.create_empty(connection)
    REPEATED_HASHES.create(connection, _HASHES)
    with_repeated = {path for (path,) in connection.execute(_PARTS_OF_HASHES).fetchall()}
    IMAGE_HASHES.drop(connection)
    for paths in batches(connection):
        if some := [path for path in paths if path in with_repeated]:
            connection.execute(_IMAGES, [some, last_round])
    DUPLICATES.create(connection, _LATER_ONES, kind="TABLE")  # read by a cursor of the connection
    SHARED_IMAGES.create(connection, _BY_SEVERAL)


def generators_of_equal_images(connection: duckdb.DuckDBPyConnection) -> list[frozenset[str]]:
    """The sets of generators that made one and the same image; `connection` is one of `join.open_records`."""
    return [frozenset(names) for (names,) in connection.execute(_SETS_OF_GENERATORS).fetchall()]
