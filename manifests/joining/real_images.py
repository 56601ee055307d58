"""Rows of real images: which images they are, and what the manifest says of one.

Building takes them from the prompts, restoring from the list that a public edition came with (`withheld`); so a
restored row is the row of the full edition, column for column.
"""

import duckdb
import numpy as np
import pyarrow as pa

from manifests.database import registered
from manifests.joining.relations import CAPTIONS, PROMPTS, REAL_IMAGE_ORDER, REAL_IMAGES, USED_CAPTIONS
from manifests.joining.row_writer import ROW_GROUP_ROWS, RowWriter
from manifests.manifest import REAL, REAL_SUBSET

#: The manifest's rows of the images in `REAL_IMAGES`.
REAL_ROWS = f"""
SELECT * EXCLUDE ({REAL_IMAGES.license_link}, {REAL_IMAGES.row_number}), {REAL}::BIGINT AS label,
    parse_filename({REAL_IMAGES.real_id}) AS image_name, '{REAL_SUBSET}' AS subset, 'real' AS architecture,
    'unknown' AS license_family, 'unknown' AS license_family_effective, {REAL_IMAGES.real_sha256} AS sha256
FROM {REAL_IMAGES}
"""

# The real images whose captions were used, in order. Where one has several captions, or stands in several real sources
# of one title, the first by id counts. Only what puts them in order is sorted all at once.
_ORDER = f"""
WITH used AS (
        FROM (SELECT *, rowid AS {USED_CAPTIONS.caption_row} FROM {CAPTIONS})
        JOIN {USED_CAPTIONS} USING ({USED_CAPTIONS.caption_row})),
    images AS (
        SELECT {CAPTIONS.real_title}, {CAPTIONS.real_id}, {CAPTIONS.real_sha256},
            min({CAPTIONS.prompt_id}) AS {REAL_IMAGE_ORDER.prompt_id},
            arg_min({CAPTIONS.real_source}, {CAPTIONS.prompt_id}) AS first_source,
            any_value({CAPTIONS.in_test}) AS in_test
        FROM used GROUP BY {CAPTIONS.real_title}, {CAPTIONS.real_id}, {CAPTIONS.real_sha256}),
    training AS (SELECT DISTINCT {CAPTIONS.real_sha256} FROM used WHERE {USED_CAPTIONS.in_training})
SELECT {REAL_IMAGE_ORDER.prompt_id},
    CASE WHEN in_test THEN 'test'
        WHEN {CAPTIONS.real_sha256} IN (FROM training) THEN 'train' END AS {REAL_IMAGE_ORDER.split},
    row_number() OVER (
        ORDER BY {CAPTIONS.real_title}, {CAPTIONS.real_id}, first_source, {REAL_IMAGE_ORDER.prompt_id}
    ) - 1 AS {REAL_IMAGE_ORDER.row_number}
FROM images
"""
_PIECE = f"""
SELECT {PROMPTS.real_source}, {PROMPTS.real_title}, {PROMPTS.real_id}, {PROMPTS.real_sha256},
    {PROMPTS.real_format} AS {REAL_IMAGES.format}, {PROMPTS.real_mode} AS {REAL_IMAGES.mode},
    {PROMPTS.real_width} AS {REAL_IMAGES.width}, {PROMPTS.real_height} AS {REAL_IMAGES.height},
    {PROMPTS.license}, {PROMPTS.license_link}, {PROMPTS.redistributable}, {REAL_IMAGE_ORDER.split},
    {PROMPTS.prompt}, {PROMPTS.caption_origin}, {PROMPTS.captioner}, {PROMPTS.real_path} AS {REAL_IMAGES.path},
    true AS {REAL_IMAGES.prompted},
    {REAL_IMAGE_ORDER.row_number}
FROM {PROMPTS}
JOIN (FROM {REAL_IMAGE_ORDER} WHERE {REAL_IMAGE_ORDER.row_number} BETWEEN ? AND ?) USING ({PROMPTS.prompt_id})
"""


class UsedCaptions:
    """Collects which captions images were made from, and which of them for training: these decide the real rows.

    `connection` has the `CAPTIONS` of the join. Two bytes for each caption, whatever the number of images.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        ((captions,),) = connection.execute(f"SELECT count(*) FROM {CAPTIONS}").fetchall()
        self._used = np.zeros(captions, bool)
        self._in_training = np.zeros(captions, bool)

    def add(self, rows: np.ndarray, in_training: np.ndarray) -> None:
        """Count images: the rows of their captions in `CAPTIONS`, int64, and for each whether it is for training."""
        self._used[rows] = True
        self._in_training[rows[in_training]] = True

    def table(self) -> pa.Table:
        """The used ones, as `USED_CAPTIONS`."""
        return pa.table(
            {
                USED_CAPTIONS.caption_row.name: np.flatnonzero(self._used),
                USED_CAPTIONS.in_training.name: self._in_training[self._used],
            }
        )


def write_real_images(
    connection: duckdb.DuckDBPyConnection, used: UsedCaptions, manifest: RowWriter, withheld: RowWriter | None
) -> tuple[int, int]:
    """Write the rows of the real images whose captions were used.

    Returns how many are in the manifest, and how many in the list of those that may not be passed on; where `withheld`
    is None there is no such list, and all are in the manifest. `connection` has the `PROMPTS` and `CAPTIONS`.
    """
    with registered(connection, {USED_CAPTIONS: used.table()}):
        REAL_IMAGE_ORDER.create(connection, _ORDER)
    ((images,),) = connection.execute(f"SELECT count(*) FROM {REAL_IMAGE_ORDER}").fetchall()
    in_order = f"ORDER BY {REAL_IMAGES.row_number}"
    may_be_passed_on = "true" if withheld is None else REAL_IMAGES.redistributable
    written = listed = 0
    for first in range(0, images, ROW_GROUP_ROWS):
        REAL_IMAGES.create(connection, _PIECE, [first, first + ROW_GROUP_ROWS - 1])
        written += manifest.write(connection.sql(f"{REAL_ROWS} WHERE {may_be_passed_on} {in_order}"))
        if withheld is not None:
            query = f"FROM {REAL_IMAGES} WHERE {REAL_IMAGES.redistributable} IS NOT TRUE {in_order}"
            listed += withheld.write(connection.sql(query))
    return written, listed
