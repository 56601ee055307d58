"""Further real images: captioned ones that no image of the manifest was made from.

A caption is the prompt of many generators, so there are fewer prompted real images than generated ones. Further images
of the same sources, in proportion to the prompted ones, make up the number that is asked for, in each split by itself.
Which they are depends on nothing but their sha256, their captions and how many are needed.

Where the evaluation set is to be public, its further images are such that may be passed on, and only those count.

They are chosen round by round, each time by what was known in that round: so what an earlier round chose stays when a
later one follows.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.joining.batch_tables import HELD_IMAGES, HELD_TEXTS
from manifests.joining.relations import FURTHER_IMAGES, IMAGES, JOINED_IMAGES, NUMBERED_CAPTIONS, USED_CAPTIONS

#: The splits in the order in which they choose. The first has the lowest places, the second the highest, as for the
#: captions that are reserved for them; the last gets what is left.
_SPLITS = ("test", "validation", "train")

_JOINED_BY_SPLIT = f"""
SELECT j.{JOINED_IMAGES.split},
    count(*) FILTER (i.{IMAGES.redistributable} OR NOT ($public AND j.{JOINED_IMAGES.split} = 'test'))
FROM {JOINED_IMAGES} j JOIN {IMAGES} i ON j.{JOINED_IMAGES.image} = i.rowid
WHERE j.{JOINED_IMAGES.split} IS NOT NULL GROUP BY ALL
"""
_OF_SOURCES = f"""
SELECT {NUMBERED_CAPTIONS.real_source}::VARCHAR, count(*) FILTER (used), count(*)
FROM {NUMBERED_CAPTIONS} JOIN (
    SELECT coalesce({IMAGES.first_use} <= $last, false) AS used,
        CASE WHEN used THEN {IMAGES.used_row} ELSE {IMAGES.unused_row} END AS {NUMBERED_CAPTIONS.caption_row}
    FROM {IMAGES} WHERE {IMAGES.added} <= $last) USING ({NUMBERED_CAPTIONS.caption_row})
GROUP BY ALL
"""

#: Their order is that of `workspace.identity.reserved_place`: those of an evaluation set come from the captions that
#: are reserved for it, and so hardly ever become prompts of training images when the workspace grows.
_PLACE = f"""sha256(concat('["reserved prompts", "', {NUMBERED_CAPTIONS.real_sha256}, '"]'))"""

# The images of which no caption was used yet, with the caption that their rows would have.
_UNUSED = f"""
SELECT c.* EXCLUDE ({NUMBERED_CAPTIONS.redistributable}), i.{FURTHER_IMAGES.image}, i.{IMAGES.redistributable},
    c.{NUMBERED_CAPTIONS.real_source} AS source FROM {NUMBERED_CAPTIONS} c
JOIN (
    SELECT rowid AS {FURTHER_IMAGES.image}, {IMAGES.unused_row}, {IMAGES.redistributable} FROM {IMAGES}
    ANTI JOIN {JOINED_IMAGES} ON {JOINED_IMAGES.image} = {IMAGES}.rowid
    WHERE {IMAGES.added} <= $last AND ({IMAGES.first_use} IS NULL OR {IMAGES.first_use} > $last)
) i ON c.{NUMBERED_CAPTIONS.caption_row} = i.{IMAGES.unused_row}
"""

# `bound`: the only split that an image may be in, because its caption is that of an image there; null: any.
_OF_ONE_SPLIT = f"""
SELECT {FURTHER_IMAGES.image}, source, {IMAGES.redistributable}, NULL::VARCHAR AS bound FROM ({_UNUSED})
ORDER BY {_PLACE}
"""
# Of several images with one caption, which nobody had, only the first is there: they would all be bound to its split.
_OF_SEVERAL_SPLITS = f"""
WITH training AS (
        SELECT DISTINCT {NUMBERED_CAPTIONS.text64} FROM {NUMBERED_CAPTIONS}
        SEMI JOIN (FROM {USED_CAPTIONS} WHERE {USED_CAPTIONS.first_trained} <= $last)
            USING ({USED_CAPTIONS.caption_row})),
    joined AS (
        SELECT {NUMBERED_CAPTIONS.text64}, any_value({JOINED_IMAGES.split}) AS of_joined
        FROM {NUMBERED_CAPTIONS} JOIN {JOINED_IMAGES} USING ({JOINED_IMAGES.caption_row})
        WHERE NOT {JOINED_IMAGES.prompted} GROUP BY ALL)
SELECT {FURTHER_IMAGES.image}, source, {IMAGES.redistributable},
    CASE WHEN greatest(of_image, of_text) IS NOT NULL THEN greatest(of_image, of_text)::VARCHAR
        WHEN {NUMBERED_CAPTIONS.text64} IN (FROM training) THEN 'train' ELSE of_joined END AS bound
FROM ({_UNUSED})
LEFT JOIN ({HELD_IMAGES.replace("?", "$last")}) USING ({NUMBERED_CAPTIONS.real_sha256})
LEFT JOIN ({HELD_TEXTS.replace("?", "$last")}) USING ({NUMBERED_CAPTIONS.text64})
LEFT JOIN joined USING ({NUMBERED_CAPTIONS.text64})
QUALIFY bound IS NOT NULL OR row_number() OVER (PARTITION BY {NUMBERED_CAPTIONS.text64} ORDER BY {_PLACE}) = 1
ORDER BY {_PLACE}
"""


@dataclass(frozen=True)
class Further:
    """The images that were chosen, as `FURTHER_IMAGES`, and how many more each split would need."""

    images: pa.Table
    missing: dict[str, int]


def choose_further(
    connection: duckdb.DuckDBPyConnection,
    last_round: int,
    generated: Mapping[str | None, int],
    per_generated: float,
    public_evaluation: bool = False,
) -> Further:
    """Choose so many images that each split has `per_generated` real ones a generated one, or all that there are.

    `generated` has the number of generated images of each split, up to the round `last_round`; what a later round did
    is not looked at. `public_evaluation`: whether those for evaluation may be passed on. `connection` has
    `NUMBERED_CAPTIONS`, `HELD_CAPTIONS`, `USED_CAPTIONS`, `IMAGES` and those that are there already, as
    `JOINED_IMAGES`.
    """
    there = dict(connection.execute(_JOINED_BY_SPLIT, {"public": public_evaluation}).fetchall())
    # As the ratio was written: 0.1 is no number that a float has.
    needed = {split: math.ceil(Fraction(str(per_generated)) * generated.get(split, 0)) for split in _SPLITS}
    wanted = np.array([max(0, needed[split] - there.get(split, 0)) for split in _SPLITS])
    images = np.zeros(0, np.int64)
    chosen = np.zeros(0, np.int8)
    if wanted.any():
        query = _OF_SEVERAL_SPLITS if are_several(generated) else _OF_ONE_SPLIT
        pool = connection.sql(query, params={"last": last_round}).to_arrow_table()
        images = pool[FURTHER_IMAGES.image.name].to_numpy()
        sources = pool["source"].combine_chunks()
        bound = pc.index_in(pool["bound"], pa.array(_SPLITS)).fill_null(-1).to_numpy()
        weights = _weights(connection, last_round)
        weight = np.array([weights.get(name, 0) for name in sources.dictionary.to_pylist()], np.int64)
        passing = pool[IMAGES.redistributable.name].to_numpy() if public_evaluation else None
        chosen = choose(sources.indices.to_numpy(), bound, weight, wanted, passing)
    missing = wanted - np.bincount(chosen[chosen >= 0], minlength=wanted.size)
    table = {
        FURTHER_IMAGES.image.name: images[chosen >= 0],
        FURTHER_IMAGES.split.name: pa.array(_SPLITS).take(pa.array(chosen[chosen >= 0])),
    }
    return Further(pa.table(table), {split: int(n) for split, n in zip(_SPLITS, missing, strict=True) if n})


def are_several(generated: Mapping[str | None, int]) -> bool:
    """Whether several splits have generated images, so that captions bind an image to one of them."""
    return sum(generated.get(split, 0) > 0 for split in _SPLITS) > 1


def choose(
    source: np.ndarray,
    bound: np.ndarray,
    weight: np.ndarray,
    wanted: np.ndarray,
    passing: np.ndarray | None = None,
) -> np.ndarray:
    """For each image of a pool the number of its split in `_SPLITS`, -1: none; int8.

    `source` is the number of each image's source, `bound` that of the only split it may be in (-1: any), `weight` that
    of each source in the choice; `passing`: which may be for evaluation (None: all). Where there are fewer images than
    wanted, the splits share them in proportion to what they want; where one source has too few, the others stand in for
    it.
    """
    chosen = np.full(source.size, -1, np.int8)
    usable = weight[source] > 0
    for code, number in enumerate(apportion(int(usable.sum()), wanted, wanted)):
        candidates = np.flatnonzero(usable & (chosen < 0) & ((bound < 0) | (bound == code)))
        if _SPLITS[code] == "test" and passing is not None:
            candidates = candidates[passing[candidates]]
        if _SPLITS[code] == "validation":
            candidates = candidates[::-1]
        there = np.bincount(source[candidates], minlength=weight.size)
        for each, quota in enumerate(apportion(int(number), weight, there)):
            if quota:
                chosen[candidates[source[candidates] == each][:quota]] = code
    return chosen


def apportion(number: int, weight: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Divide a number in proportion to weights, each part at most what is there: by largest remainders, the first of
    equals; what does not fit goes to the others in the same way."""
    parts = np.zeros(weight.size, np.int64)
    while number > 0 and (open_ := (weight > 0) & (parts < there)).any():
        exact = number * np.where(open_, weight, 0) / weight[open_].sum()
        more = np.floor(exact).astype(np.int64)
        largest = np.argsort(more - exact, kind="stable")[: number - more.sum()]
        more[largest] += 1
        more = np.minimum(more, there - parts)
        parts += more
        number -= int(more.sum())
    return parts


def _weights(connection: duckdb.DuckDBPyConnection, last_round: int) -> dict[str, int]:
    """How many prompted images each source has; where none is prompted, how many images."""
    counted = connection.execute(_OF_SOURCES, {"last": last_round}).fetchall()
    column = 1 if any(prompted for _, prompted, _ in counted) else 2
    return {row[0]: row[column] for row in counted}
