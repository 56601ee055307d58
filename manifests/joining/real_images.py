"""Rows of real images: which images they are, and what the manifest says of one.

Building takes them from the prompts, restoring from the list that a public edition came with (`withheld`); so a
restored row is the row of the full edition, column for column.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from manifests.database import registered
from manifests.joining.equal_files import find_equal_files
from manifests.joining.further_images import Further
from manifests.joining.relations import (
    CAPTIONS,
    EQUAL_FILES,
    FURTHER_IMAGES,
    IMAGES,
    NUMBERED_CAPTIONS,
    PROMPTS,
    REAL_IMAGE_ORDER,
    REAL_IMAGES,
    USED_CAPTIONS,
)
from manifests.joining.row_writer import ROW_GROUP_ROWS, RowWriter
from manifests.manifest import REAL, REAL_SUBSET


def _strictest(column: str) -> str:
    """SQL: a column of the terms of a real image; of equal files the strictest ones."""
    return f"CASE WHEN e.{EQUAL_FILES.names} IS NULL THEN p.{column} ELSE e.{column} END AS {column}"


#: The manifest's rows of the images in `REAL_IMAGES`.
REAL_ROWS = f"""
SELECT * EXCLUDE ({REAL_IMAGES.license_link}, {REAL_IMAGES.row_number}), {REAL}::BIGINT AS label,
    parse_filename({REAL_IMAGES.real_id}) AS image_name, '{REAL_SUBSET}' AS subset, 'real' AS architecture,
    'unknown' AS license_family, 'unknown' AS license_family_effective, {REAL_IMAGES.real_sha256} AS sha256
FROM {REAL_IMAGES}
"""

_NUMBERED = f"SELECT *, rowid AS {NUMBERED_CAPTIONS.caption_row} FROM {CAPTIONS}"

# Every file of prompts/ once. Which of its captions its row has, and so under which name and at which path, depends on
# their ids alone.
_IMAGES = f"""
SELECT arg_min({IMAGES.caption_row}, concat({USED_CAPTIONS.in_training} IS NULL, {NUMBERED_CAPTIONS.prompt_id}))
        AS {IMAGES.caption_row},
    count({USED_CAPTIONS.in_training}) > 0 AS {IMAGES.prompted},
    max({NUMBERED_CAPTIONS.held_split}) FILTER ({USED_CAPTIONS.in_training} IS NOT NULL) AS held,
    CASE WHEN held = any_value({NUMBERED_CAPTIONS.image_split}) THEN held::VARCHAR
        WHEN held IS NULL AND bool_or({USED_CAPTIONS.in_training}) THEN 'train' END AS {IMAGES.split},
    count(*) AS {IMAGES.captions}
FROM (FROM {NUMBERED_CAPTIONS} WHERE {NUMBERED_CAPTIONS.real_sha256} IS NOT NULL)
LEFT JOIN {USED_CAPTIONS} USING ({USED_CAPTIONS.caption_row})
GROUP BY {NUMBERED_CAPTIONS.real_sha256}
"""

# Only what puts the images in order is sorted all at once.
_ORDER = f"""
SELECT {REAL_IMAGE_ORDER.prompt_id}, {REAL_IMAGE_ORDER.split}, {REAL_IMAGE_ORDER.prompted},
    row_number() OVER (
        ORDER BY {NUMBERED_CAPTIONS.real_title}, {NUMBERED_CAPTIONS.real_id}, {NUMBERED_CAPTIONS.real_source},
            {NUMBERED_CAPTIONS.prompt_id}
    ) - 1 AS {REAL_IMAGE_ORDER.row_number}
FROM {NUMBERED_CAPTIONS}
JOIN (
    SELECT {IMAGES.caption_row}, {IMAGES.split}, {IMAGES.prompted} FROM {IMAGES} WHERE {IMAGES.prompted}
    UNION ALL SELECT {FURTHER_IMAGES.caption_row}, {FURTHER_IMAGES.split}, false FROM {FURTHER_IMAGES}
) USING ({IMAGES.caption_row})
"""
_PIECE = f"""
SELECT {PROMPTS.real_source}, {PROMPTS.real_title}, {PROMPTS.real_id}, {PROMPTS.real_sha256},
    {PROMPTS.real_format} AS {REAL_IMAGES.format}, {PROMPTS.real_mode} AS {REAL_IMAGES.mode},
    {PROMPTS.real_width} AS {REAL_IMAGES.width}, {PROMPTS.real_height} AS {REAL_IMAGES.height},
    {PROMPTS.real_file_size} AS {REAL_IMAGES.file_size}, {PROMPTS.real_jpeg_quality} AS {REAL_IMAGES.jpeg_quality},
    {PROMPTS.real_chroma_subsampling} AS {REAL_IMAGES.chroma_subsampling},
    {PROMPTS.real_progressive} AS {REAL_IMAGES.progressive}, {PROMPTS.real_has_exif} AS {REAL_IMAGES.has_exif},
    {PROMPTS.real_has_icc} AS {REAL_IMAGES.has_icc},
    {_strictest("license")}, {_strictest("license_link")}, {_strictest("redistributable")},
    {REAL_IMAGE_ORDER.split}, {REAL_IMAGE_ORDER.prompted}, {PROMPTS.prompt}, {PROMPTS.caption_origin},
    {PROMPTS.captioner}, {PROMPTS.real_path} AS {REAL_IMAGES.path},
    list_filter({EQUAL_FILES.names}, lambda name: name <> concat(p.{PROMPTS.real_source}, '/', p.{PROMPTS.real_id}))
        AS {REAL_IMAGES.also_in},
    {REAL_IMAGE_ORDER.row_number}
FROM {PROMPTS} p
JOIN (FROM {REAL_IMAGE_ORDER} WHERE {REAL_IMAGE_ORDER.row_number} BETWEEN ? AND ?) USING ({PROMPTS.prompt_id})
LEFT JOIN {EQUAL_FILES} e USING ({EQUAL_FILES.real_sha256})
"""


@dataclass(frozen=True)
class RealImages:
    """What was written: real images in the manifest (`written`) and in the list of those that may not be passed on
    (`listed`); how many of both are there beside the prompted ones (`further`), how many more each split would need
    (`missing`), and how many have equal files in prompts/ (`equal`)."""

    written: int
    listed: int
    further: int
    missing: Mapping[str, int]
    equal: int


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
    connection: duckdb.DuckDBPyConnection,
    used: UsedCaptions,
    further: Callable[[], Further],
    manifest: RowWriter,
    withheld: RowWriter | None,
) -> RealImages:
    """Write the rows of the real images whose captions were used, and of those that `further` chooses.

    `further` is called while the connection has what it chooses from (`choose_further`). Where `withheld` is None there
    is no list of images that may not be passed on, and all are in the manifest. `connection` has the `PROMPTS` and
    `CAPTIONS`.
    """
    NUMBERED_CAPTIONS.create(connection, _NUMBERED, kind="TEMP VIEW")
    with registered(connection, {USED_CAPTIONS: used.table()}):
        IMAGES.create(connection, _IMAGES)
        chosen = further()
    find_equal_files(connection)
    with registered(connection, {FURTHER_IMAGES: chosen.images}):
        REAL_IMAGE_ORDER.create(connection, _ORDER)
    ((images,),) = connection.execute(f"SELECT count(*) FROM {REAL_IMAGE_ORDER}").fetchall()
    in_order = f"ORDER BY {REAL_IMAGES.row_number}"
    may_be_passed_on = "true" if withheld is None else REAL_IMAGES.redistributable
    written = listed = equal = 0
    for first in range(0, images, ROW_GROUP_ROWS):
        REAL_IMAGES.create(connection, _PIECE, [first, first + ROW_GROUP_ROWS - 1])
        written += manifest.write(connection.sql(f"{REAL_ROWS} WHERE {may_be_passed_on} {in_order}"))
        if withheld is not None:
            query = f"FROM {REAL_IMAGES} WHERE {REAL_IMAGES.redistributable} IS NOT TRUE {in_order}"
            listed += withheld.write(connection.sql(query))
        ((of_piece,),) = connection.execute(f"SELECT count({REAL_IMAGES.also_in}) FROM {REAL_IMAGES}").fetchall()
        equal += of_piece
    return RealImages(written, listed, chosen.images.num_rows, chosen.missing, equal)
