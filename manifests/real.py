"""Rows of real images: which they are, and what the manifest says of one.

A build knows it from the prompts, a restoring from the list that a public edition came with (`withheld`); so what is
restored is what the full edition has, column for column.
"""

import duckdb

from manifests.manifest import REAL_SUBSET
from manifests.writing import ROW_GROUP_ROWS, RowWriter

#: The manifest's rows of the images in a relation `real_images`, which has the list's columns, and `path`.
REAL_ROWS = f"""
SELECT
    0::BIGINT AS label, parse_filename(real_id) AS image_name, '{REAL_SUBSET}' AS subset, split,
    'real' AS architecture, license, 'unknown' AS license_family, prompt, caption_origin, captioner, real_source,
    real_id, real_sha256, format, mode, width, height, real_sha256 AS sha256, redistributable, path
FROM real_images
"""

# The real images whose captions were used. One image may have several captions: the first by id stands for it. Only
# what puts them in order is sorted all at once; `piece` is the row group that an image comes into.
_CHOSEN = """
CREATE TEMP TABLE chosen AS
WITH used AS (SELECT mark, bool_or(trained) AS trained FROM uses GROUP BY mark),
    images AS (
        SELECT min(prompt_id) AS prompt_id, real_title, real_id, real_sha256,
            arg_min(real_source, prompt_id) AS named, any_value(held) AS held
        FROM captions SEMI JOIN used USING (mark) GROUP BY real_title, real_id, real_sha256),
    training AS (SELECT DISTINCT real_sha256 FROM captions JOIN used USING (mark) WHERE trained)
SELECT prompt_id, CASE WHEN held THEN 'test' WHEN real_sha256 IN (FROM training) THEN 'train' END AS split,
    (row_number() OVER (ORDER BY real_title, real_id, named, prompt_id) - 1) // ? AS piece
FROM images
"""
_PIECE = """
CREATE OR REPLACE TEMP TABLE real_images AS
SELECT
    real_title AS real_source, real_id, real_sha256, real_format AS format, real_mode AS mode, real_width AS width,
    real_height AS height, license, license_link, redistributable, split, prompt, caption_origin, captioner,
    real_path AS path, real_source AS named, prompt_id
FROM prompts JOIN (FROM chosen WHERE piece = ?) USING (prompt_id)
"""
_IN_ORDER = "ORDER BY real_source, real_id, named, prompt_id"


def write_real_images(
    connection: duckdb.DuckDBPyConnection, manifest: RowWriter, withheld: RowWriter | None
) -> tuple[int, int]:
    """Write the rows of those real images whose captions were used; returns how many are in the manifest, and how many
    in the list of those that may not be passed on: without one, all are in the manifest.

    `connection` has the `prompts`, what the join keeps of them (`captions`), and which were used (`uses`).
    """
    connection.execute(_CHOSEN, [ROW_GROUP_ROWS])
    written = listed = 0
    for (piece,) in connection.execute("SELECT DISTINCT piece FROM chosen ORDER BY piece").fetchall():
        connection.execute(_PIECE, [piece])
        which = "true" if withheld is None else "redistributable"
        written += manifest.write(connection.sql(f"{REAL_ROWS} WHERE {which} {_IN_ORDER}"))
        if withheld is not None:
            query = f"FROM real_images WHERE redistributable IS NOT TRUE {_IN_ORDER}"
            listed += withheld.write(connection.sql(query))
    return written, listed
