"""Further real images: captioned ones that no image of the manifest was made from.

A caption is the prompt of many generators, so there are fewer prompted real images than generated ones. Further images
of the same sources, in proportion to the prompted ones, make up the number that is asked for, in each split by itself.
Which they are depends on nothing but their sha256, their captions and how many are needed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.joining.relations import FURTHER_IMAGES, IMAGES, NUMBERED_CAPTIONS, USED_CAPTIONS

#: The splits in the order in which they choose. The first has the lowest places, the second the highest, as for the
#: captions that are reserved for them; the last gets what is left.
_SPLITS = ("test", "validation", "train")

_PROMPTED_BY_SPLIT = f"""
SELECT {IMAGES.split}, count(*) FROM {IMAGES} WHERE {IMAGES.prompted} AND {IMAGES.split} IS NOT NULL GROUP BY ALL
"""
_OF_SOURCES = f"""
SELECT {NUMBERED_CAPTIONS.real_source}::VARCHAR, count(*) FILTER ({IMAGES.prompted}), count(*)
FROM {NUMBERED_CAPTIONS} JOIN {IMAGES} USING ({IMAGES.caption_row}) GROUP BY ALL
"""

#: Their order is that of `workspace.identity.reserved_place`: those of an evaluation set come from the captions that
#: are reserved for it, and so hardly ever become prompts of training images when the workspace grows.
_PLACE = f"""sha256(concat('["reserved prompts", "', {NUMBERED_CAPTIONS.real_sha256}, '"]'))"""

# `bound`: the only split that an image may be in, because its caption is that of an image there; null: any.
_OF_ONE_SPLIT = f"""
SELECT {IMAGES.caption_row}, {NUMBERED_CAPTIONS.real_source} AS source, NULL::VARCHAR AS bound
FROM {NUMBERED_CAPTIONS} JOIN (FROM {IMAGES} WHERE NOT {IMAGES.prompted}) USING ({IMAGES.caption_row})
ORDER BY {_PLACE}
"""
# Of several images with one caption, which nobody had, only the first is there: they would all be bound to its split.
_OF_SEVERAL_SPLITS = f"""
WITH training AS (
    SELECT DISTINCT {NUMBERED_CAPTIONS.text64} FROM {NUMBERED_CAPTIONS}
    SEMI JOIN (FROM {USED_CAPTIONS} WHERE {USED_CAPTIONS.in_training}) USING ({USED_CAPTIONS.caption_row}))
SELECT {IMAGES.caption_row}, {NUMBERED_CAPTIONS.real_source} AS source,
    CASE WHEN {NUMBERED_CAPTIONS.held_split} IS NOT NULL THEN {NUMBERED_CAPTIONS.held_split}::VARCHAR
        WHEN {NUMBERED_CAPTIONS.text64} IN (FROM training) THEN 'train' END AS bound
FROM {NUMBERED_CAPTIONS} JOIN (FROM {IMAGES} WHERE NOT {IMAGES.prompted}) USING ({IMAGES.caption_row})
QUALIFY bound IS NOT NULL OR row_number() OVER (PARTITION BY {NUMBERED_CAPTIONS.text64} ORDER BY {_PLACE}) = 1
ORDER BY {_PLACE}
"""


@dataclass(frozen=True)
class Further:
    """The images that were chosen, as `FURTHER_IMAGES`, and how many more each split would need."""

    images: pa.Table
    missing: dict[str, int]


def choose_further(
    connection: duckdb.DuckDBPyConnection, generated: Mapping[str | None, int], per_generated: float
) -> Further:
    """Choose so many images that each split has `per_generated` real ones a generated one, or all that there are.

    `generated` has the number of generated images of each split; `connection` has `NUMBERED_CAPTIONS`, `USED_CAPTIONS`
    and `IMAGES`.
    """
    prompted = dict(connection.execute(_PROMPTED_BY_SPLIT).fetchall())
    # As the ratio was written: 0.1 is no number that a float has.
    needed = {split: math.ceil(Fraction(str(per_generated)) * generated.get(split, 0)) for split in _SPLITS}
    wanted = np.array([max(0, needed[split] - prompted.get(split, 0)) for split in _SPLITS])
    rows = np.zeros(0, np.int64)
    chosen = np.zeros(0, np.int8)
    if wanted.any():
        several = sum(generated.get(split, 0) > 0 for split in _SPLITS) > 1
        pool = connection.sql(_OF_SEVERAL_SPLITS if several else _OF_ONE_SPLIT).to_arrow_table()
        rows = pool[IMAGES.caption_row.name].to_numpy()
        sources = pool["source"].combine_chunks()
        bound = pc.index_in(pool["bound"], pa.array(_SPLITS)).fill_null(-1).to_numpy()
        weights = _weights(connection)
        weight = np.array([weights.get(name, 0) for name in sources.dictionary.to_pylist()], np.int64)
        chosen = choose(sources.indices.to_numpy(), bound, weight, wanted)
    missing = wanted - np.bincount(chosen[chosen >= 0], minlength=wanted.size)
    images = {
        FURTHER_IMAGES.caption_row.name: rows[chosen >= 0],
        FURTHER_IMAGES.split.name: pa.array(_SPLITS).take(pa.array(chosen[chosen >= 0])),
    }
    return Further(pa.table(images), {split: int(n) for split, n in zip(_SPLITS, missing, strict=True) if n})


def choose(source: np.ndarray, bound: np.ndarray, weight: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """For each image of a pool the number of its split in `_SPLITS`, -1: none; int8.

    `source` is the number of each image's source, `bound` that of the only split it may be in (-1: any), `weight` that
    of each source in the choice. Where there are fewer images than wanted, the splits share them in proportion to what
    they want; where one source has too few, the others stand in for it.
    """
    chosen = np.full(source.size, -1, np.int8)
    usable = weight[source] > 0
    for code, number in enumerate(apportion(int(usable.sum()), wanted, wanted)):
        candidates = np.flatnonzero(usable & (chosen < 0) & ((bound < 0) | (bound == code)))
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


def _weights(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """How many prompted images each source has; where none is prompted, how many images."""
    counted = connection.execute(_OF_SOURCES).fetchall()
    column = 1 if any(prompted for _, prompted, _ in counted) else 2
    return {row[0]: row[column] for row in counted}
