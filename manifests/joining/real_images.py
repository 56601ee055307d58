"""Rows of real images: which images they are, and what the manifest says of one.

Building takes them from the prompts, restoring from the list that a public edition came with (`withheld`); so a
restored row is the row of the full edition, column for column.

An image joins the manifest in a round: the first one in which it is the source of a prompt, or chosen beside those
(`further_images`). What its row says of prompts is what was so in that round.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from manifests.database import registered
from manifests.joining.equal_files import find_equal_files
from manifests.joining.further_images import are_several, choose_further
from manifests.joining.relations import (
    CAPTIONS,
    EQUAL_FILES,
    FURTHER_IMAGES,
    IMAGES,
    JOINED_IMAGES,
    NUMBERED_CAPTIONS,
    PROMPTS,
    REAL_IMAGE_ORDER,
    REAL_IMAGES,
    USED_CAPTIONS,
)
from manifests.joining.row_writer import ROW_GROUP_ROWS, RowWriter
from manifests.manifest import REAL, REAL_SUBSET
from manifests.rounds import ALL_ROUNDS


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
# their rounds and ids alone; `place` is their place in that order, because numbers are compared in less memory.
_IMAGES = f"""
SELECT arg_min({USED_CAPTIONS.caption_row}, place) AS {IMAGES.unused_row},
    arg_min({USED_CAPTIONS.caption_row}, {USED_CAPTIONS.first_use} * {1 << 32} + place) AS {IMAGES.used_row},
    min({NUMBERED_CAPTIONS.round}) AS {IMAGES.added}, min({USED_CAPTIONS.first_use}) AS {IMAGES.first_use},
    max({NUMBERED_CAPTIONS.held_split}) FILTER ({USED_CAPTIONS.first_use} IS NOT NULL) AS held,
    CASE WHEN held = any_value({NUMBERED_CAPTIONS.image_split}) THEN held::VARCHAR
        WHEN held IS NULL AND bool_or({USED_CAPTIONS.trained}) THEN 'train' END AS {IMAGES.split},
    bool_and({NUMBERED_CAPTIONS.redistributable}) AS {IMAGES.redistributable},
    count(*) AS {IMAGES.captions}
FROM (
    SELECT *, row_number() OVER (ORDER BY {NUMBERED_CAPTIONS.round}, {NUMBERED_CAPTIONS.prompt_id}) AS place
    FROM {NUMBERED_CAPTIONS} WHERE {NUMBERED_CAPTIONS.real_sha256} IS NOT NULL)
LEFT JOIN {USED_CAPTIONS} USING ({USED_CAPTIONS.caption_row})
GROUP BY {NUMBERED_CAPTIONS.real_sha256}
"""

_PROMPTED = f"""
INSERT INTO {JOINED_IMAGES} BY NAME
SELECT rowid AS {JOINED_IMAGES.image}, {IMAGES.used_row} AS {JOINED_IMAGES.caption_row}, {JOINED_IMAGES.split},
    true AS {JOINED_IMAGES.prompted}, {IMAGES.first_use} AS {JOINED_IMAGES.round}
FROM {IMAGES} ANTI JOIN {JOINED_IMAGES} ON {JOINED_IMAGES.image} = {IMAGES}.rowid WHERE {IMAGES.first_use} = $this
"""

# An image that a later round used, or whose caption one used, is in the split that this puts it in.
_FURTHER = f"""
INSERT INTO {JOINED_IMAGES} BY NAME
SELECT {JOINED_IMAGES.image}, i.{IMAGES.unused_row} AS {JOINED_IMAGES.caption_row},
    CASE WHEN i.{IMAGES.first_use} IS NOT NULL THEN i.{IMAGES.split}
        WHEN NOT $several THEN f.{FURTHER_IMAGES.split}
        WHEN c.{NUMBERED_CAPTIONS.held_split} IS NOT NULL THEN c.{NUMBERED_CAPTIONS.held_split}::VARCHAR
        WHEN c.{NUMBERED_CAPTIONS.text64} IN (
            SELECT {NUMBERED_CAPTIONS.text64} FROM {NUMBERED_CAPTIONS}
            SEMI JOIN (FROM {USED_CAPTIONS} WHERE {USED_CAPTIONS.trained}) USING ({USED_CAPTIONS.caption_row}))
            THEN 'train'
        ELSE f.{FURTHER_IMAGES.split} END AS {JOINED_IMAGES.split},
    false AS {JOINED_IMAGES.prompted}, $this AS {JOINED_IMAGES.round}
FROM {FURTHER_IMAGES} f JOIN {IMAGES} i ON f.{FURTHER_IMAGES.image} = i.rowid
JOIN {NUMBERED_CAPTIONS} c ON c.{NUMBERED_CAPTIONS.caption_row} = i.{IMAGES.unused_row}
"""

# Only what puts the images in order is sorted all at once.
_ORDER = f"""
SELECT {REAL_IMAGE_ORDER.prompt_id}, {REAL_IMAGE_ORDER.split}, {REAL_IMAGE_ORDER.prompted},
    j.{REAL_IMAGE_ORDER.round},
    row_number() OVER (
        ORDER BY {NUMBERED_CAPTIONS.real_title}, {NUMBERED_CAPTIONS.real_id}, {NUMBERED_CAPTIONS.real_source},
            {NUMBERED_CAPTIONS.prompt_id}
    ) - 1 AS {REAL_IMAGE_ORDER.row_number}
FROM {NUMBERED_CAPTIONS} JOIN {JOINED_IMAGES} j USING ({JOINED_IMAGES.caption_row})
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
    {REAL_IMAGE_ORDER.split}, {REAL_IMAGE_ORDER.prompted}, o.{REAL_IMAGE_ORDER.round}, {PROMPTS.prompt},
    {PROMPTS.caption_origin}, {PROMPTS.captioner}, {PROMPTS.real_path} AS {REAL_IMAGES.path},
    list_transform(
        list_filter({EQUAL_FILES.names}, lambda image: image.round <= o.{REAL_IMAGE_ORDER.round}
            AND image.real_image <> concat(p.{PROMPTS.real_source}, '/', p.{PROMPTS.real_id})),
        lambda image: image.real_image) AS others,
    CASE WHEN len(others) > 0 THEN others END AS {REAL_IMAGES.also_in},
    {REAL_IMAGE_ORDER.row_number}
FROM {PROMPTS} p
JOIN (FROM {REAL_IMAGE_ORDER} WHERE {REAL_IMAGE_ORDER.row_number} BETWEEN ? AND ?) o USING ({PROMPTS.prompt_id})
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
    """Collects in which round images were first made from a caption, and first for training: these decide the real
    rows.

    `connection` has the `CAPTIONS` of the join. Eight bytes for each caption, whatever the number of images.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        ((captions,),) = connection.execute(f"SELECT count(*) FROM {CAPTIONS}").fetchall()
        self._first_use, self._first_trained = (np.full(captions, ALL_ROUNDS, np.int32) for _ in range(2))

    def add(self, rows: np.ndarray, made_in: np.ndarray, in_training: np.ndarray) -> None:
        """Count images: the rows of their captions in `CAPTIONS`, int64, and for each its round and whether it is for
        training."""
        np.minimum.at(self._first_use, rows, made_in)
        np.minimum.at(self._first_trained, rows[in_training], made_in[in_training])

    def table(self) -> pa.Table:
        """The used ones, as `USED_CAPTIONS`."""
        rows = np.flatnonzero(self._first_use < ALL_ROUNDS)
        trained = self._first_trained[rows] < ALL_ROUNDS
        return pa.table(
            {
                USED_CAPTIONS.caption_row.name: rows,
                USED_CAPTIONS.first_use.name: self._first_use[rows],
                USED_CAPTIONS.trained.name: trained,
                USED_CAPTIONS.first_trained.name: pa.array(self._first_trained[rows], mask=~trained),
            }
        )


def write_real_images(
    connection: duckdb.DuckDBPyConnection,
    used: UsedCaptions,
    generated: Mapping[tuple[int, str | None], int],
    per_generated: float,
    manifest: RowWriter,
    withheld: RowWriter | None,
    public_evaluation: bool = False,
) -> RealImages:
    """Write the rows of the real images whose captions were used, and of those that are chosen beside them.

    `generated` has the number of generated images by round and split, `per_generated` how many real ones there are for
    each; `public_evaluation` as in the options. Where `withheld` is None there is no list of images that may not be
    passed on, and all are in the manifest. `connection` has the `PROMPTS`, `CAPTIONS` and `HELD_CAPTIONS`.
    """
    NUMBERED_CAPTIONS.create(connection, _NUMBERED, kind="TEMP VIEW")
    with registered(connection, {USED_CAPTIONS: used.table()}):
        IMAGES.create(connection, _IMAGES)
        missing = _join_images(connection, generated, per_generated, public_evaluation)
    find_equal_files(connection)
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
    not_prompted = f"SELECT count(*) FROM {JOINED_IMAGES} WHERE NOT {JOINED_IMAGES.prompted}"
    ((further,),) = connection.execute(not_prompted).fetchall()
    return RealImages(written, listed, further, missing, equal)


def _join_images(
    connection: duckdb.DuckDBPyConnection,
    generated: Mapping[tuple[int, str | None], int],
    per_generated: float,
    public_evaluation: bool,
) -> Mapping[str, int]:
    """Create `JOINED_IMAGES`, round by round; returns how many more images each split would need."""
    JOINED_IMAGES.create_empty(connection)
    so_far: Counter[str | None] = Counter()
    for (_, split), number in generated.items():
        so_far[split] += number
    several = are_several(so_far)
    so_far.clear()
    missing: Mapping[str, int] = {}
    # A round may have added real images only.
    added = connection.execute(f"SELECT DISTINCT {IMAGES.added} FROM {IMAGES}").fetchall()
    for this in sorted({made_in for made_in, _ in generated}.union(each for (each,) in added)):
        so_far.update({split: number for (made_in, split), number in generated.items() if made_in == this})
        connection.execute(_PROMPTED, {"this": this})
        chosen = choose_further(connection, this, so_far, per_generated, public_evaluation)
        with registered(connection, {FURTHER_IMAGES: chosen.images}):
            connection.execute(_FURTHER, {"this": this, "several": several})
        missing = chosen.missing
    return missing
