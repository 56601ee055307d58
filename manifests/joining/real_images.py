"""Rows of real images: which they are, and what the manifest says of one.

A build knows it from the prompts, a restoring from the list that a public edition came with (`withheld`); so what is
restored is what the full edition has, column for column.
"""

import duckdb
import numpy as np
import pyarrow as pa

from manifests.database import seen
from manifests.joining.row_writer import ROW_GROUP_ROWS, RowWriter
from manifests.manifest import REAL_SUBSET

#: The manifest's rows of the images in a relation `real_images`, which has the list's columns, and `path`.
REAL_ROWS = f"""
SELECT
    0::BIGINT AS label, parse_filename(real_id) AS image_name, '{REAL_SUBSET}' AS subset, split,
    'real' AS architecture, license, 'unknown' AS license_family, prompt, caption_origin, captioner, real_source,
    real_id, real_sha256, format, mode, width, height, real_sha256 AS sha256, redistributable, path
FROM real_images
"""

# The real images whose captions were used, and the place of each. One image may have several captions: the first by id
# stands for it. Only what puts them in order is sorted all at once.
_CHOSEN = """
CREATE TEMP TABLE chosen AS
WITH used AS (FROM (SELECT *, rowid AS caption_row FROM captions) JOIN uses USING (caption_row)),
    images AS (
        SELECT min(prompt_id) AS prompt_id, real_title, real_id, real_sha256,
            arg_min(real_source, prompt_id) AS named, any_value(held) AS held
        FROM used GROUP BY real_title, real_id, real_sha256),
    training AS (SELECT DISTINCT real_sha256 FROM used WHERE trained)
SELECT prompt_id, CASE WHEN held THEN 'test' WHEN real_sha256 IN (FROM training) THEN 'train' END AS split,
    row_number() OVER (ORDER BY real_title, real_id, named, prompt_id) - 1 AS place
FROM images
"""
_PIECE = """
CREATE OR REPLACE TEMP TABLE real_images AS
SELECT
    real_title AS real_source, real_id, real_sha256, real_format AS format, real_mode AS mode, real_width AS width,
    real_height AS height, license, license_link, redistributable, split, prompt, caption_origin, captioner,
    real_path AS path, place
FROM prompts JOIN (FROM chosen WHERE place >= $first AND place < $first + $rows) USING (prompt_id)
"""


class UsedCaptions:
    """Which captions images were made of, and which of them for training: what the rows of real images are decided by.

    `connection` has the `captions` of the join. Two bytes a caption, whatever the number of images.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        ((captions,),) = connection.execute("SELECT count(*) FROM captions").fetchall()
        self._used = np.zeros(captions, bool)
        self._trained = np.zeros(captions, bool)

    def add(self, rows: np.ndarray, trained: np.ndarray) -> None:
        """An image was made of the caption in each of these rows, `trained`: for training."""
        self._used[rows] = True
        self._trained[rows[trained]] = True

    def table(self) -> pa.Table:
        """The used ones: `caption_row`, `trained`."""
        return pa.table({"caption_row": np.flatnonzero(self._used), "trained": self._trained[self._used]})


def write_real_images(
    connection: duckdb.DuckDBPyConnection, used: UsedCaptions, manifest: RowWriter, withheld: RowWriter | None
) -> tuple[int, int]:
    """Write the rows of those real images whose captions were used; returns how many are in the manifest, and how many
    in the list of those that may not be passed on: without one, all are in the manifest.

    `connection` has the `prompts`, and what the join keeps of them: `captions`.
    """
    with seen(connection, uses=used.table()):
        connection.execute(_CHOSEN)
    ((images,),) = connection.execute("SELECT count(*) FROM chosen").fetchall()
    written = listed = 0
    for first in range(0, images, ROW_GROUP_ROWS):
        connection.execute(_PIECE, {"first": first, "rows": ROW_GROUP_ROWS})
        which = "true" if withheld is None else "redistributable"
        written += manifest.write(connection.sql(f"{REAL_ROWS} WHERE {which} ORDER BY place"))
        if withheld is not None:
            query = "FROM real_images WHERE redistributable IS NOT TRUE ORDER BY place"
            listed += withheld.write(connection.sql(query))
    return written, listed
