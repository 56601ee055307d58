"""Further real images: captioned ones that no image of the manifest was made from.

A caption is the prompt of many generators, so there are fewer prompted real images than generated ones. Further images
of the same sources, in proportion to the prompted ones, make up the number that is asked for, in each split by itself.
Which they are depends on nothing but their sha256 and how many are needed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import duckdb
import numpy as np
import pyarrow as pa

from manifests.joining.relations import CAPTIONS, FURTHER_IMAGES, IMAGES

#: The splits in the order in which they choose. The first has the lowest places in the order of `_POOL`, the second the
#: highest, as for the captions that are reserved for them; the last gets what is left.
_SPLITS = ("test", "validation", "train")

_PROMPTED_BY_SPLIT = f"""
SELECT {IMAGES.split}, count(*) FROM {IMAGES} WHERE {IMAGES.prompted} AND {IMAGES.split} IS NOT NULL GROUP BY ALL
"""
_OF_SOURCES = f"""
SELECT {CAPTIONS.real_source}::VARCHAR, count(*) FILTER ({IMAGES.prompted}), count(*)
FROM (SELECT *, rowid AS {IMAGES.caption_row} FROM {CAPTIONS}) JOIN {IMAGES} USING ({IMAGES.caption_row}) GROUP BY ALL
"""
_POOL = f"""
SELECT {IMAGES.caption_row}, {CAPTIONS.real_source} AS source
FROM (SELECT *, rowid AS {IMAGES.caption_row} FROM {CAPTIONS})
JOIN (FROM {IMAGES} WHERE NOT {IMAGES.prompted}) USING ({IMAGES.caption_row})
ORDER BY sha256({CAPTIONS.real_sha256})
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

    `generated` has the number of generated images of each split; `connection` has the `CAPTIONS` and `IMAGES`.
    """
    prompted = dict(connection.execute(_PROMPTED_BY_SPLIT).fetchall())
    wanted = {split: _wanted(generated.get(split, 0), per_generated) - prompted.get(split, 0) for split in _SPLITS}
    wanted = {split: max(0, number) for split, number in wanted.items()}
    rows = np.zeros(0, np.int64)
    chosen = np.zeros(0, np.int8)
    if any(wanted.values()):
        pool = connection.sql(_POOL).to_arrow_table()
        rows = pool[IMAGES.caption_row.name].to_numpy()
        sources = pool["source"].combine_chunks()
        weights = _weights(connection)
        weight = np.array([weights.get(name, 0) for name in sources.dictionary.to_pylist()], np.int64)
        chosen = choose(sources.indices.to_numpy(), weight, wanted)
    missing = {split: wanted[split] - int((chosen == code).sum()) for code, split in enumerate(_SPLITS)}
    names = pa.DictionaryArray.from_arrays(chosen[chosen >= 0], list(_SPLITS)).cast(pa.string())
    images = {FURTHER_IMAGES.caption_row.name: rows[chosen >= 0], FURTHER_IMAGES.split.name: names}
    return Further(pa.table(images), {split: number for split, number in missing.items() if number})


def choose(source: np.ndarray, weight: np.ndarray, wanted: Mapping[str, int]) -> np.ndarray:
    """For each image of a pool the number of its split in `_SPLITS`, -1: none; int8.

    `source` is the number of each image's source, `weight` that of each source in the choice. Where there are fewer
    images than wanted, the splits share them in proportion to what they want; where one source has too few, the others
    stand in for it.
    """
    chosen = np.full(source.size, -1, np.int8)
    usable = weight[source] > 0
    share = min(Fraction(1), Fraction(int(usable.sum()), max(1, sum(wanted.values()))))
    for code, split in enumerate(_SPLITS):
        candidates = np.flatnonzero(usable & (chosen < 0))
        if split == "validation":
            candidates = candidates[::-1]
        number = wanted[split] if split == _SPLITS[-1] else math.floor(wanted[split] * share)
        there = np.bincount(source[candidates], minlength=weight.size)
        for each, quota in enumerate(apportion(number, weight, there)):
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


def _wanted(generated: int, per_generated: float) -> int:
    # As it was written: 0.1 is no number that a float has.
    return math.ceil(Fraction(str(per_generated)) * generated)


def _weights(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """How many prompted images each source has; where none is prompted, how many images."""
    counted = connection.execute(_OF_SOURCES).fetchall()
    column = 1 if any(prompted for _, prompted, _ in counted) else 2
    return {row[0]: row[column] for row in counted}
