"""File facts of an index as numbers: what the audit looks at (`manifests.audit.facts`), row by row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from detectors.data.index import Index, Rows
from manifests.audit.facts import FACTS, UNKNOWN
from manifests.database import connected
from manifests.manifest import FAKE, REAL

#: Values of a text fact that are told apart; rarer ones, and those that training did not see, are one value.
_VALUES = 64

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Vocabulary:
    """Which facts are used, in their order, and the values of those that are texts, the most frequent first."""

    facts: tuple[str, ...]
    texts: Mapping[str, Sequence[str]]

    def names(self) -> list[bool]:
        """For each fact whether its numbers are names and no quantities."""
        return [fact in self.texts for fact in self.facts]


def vocabulary_of(index: Index, rows: Rows) -> tuple[Vocabulary, dict[str, str]]:
    """The facts that these images have, and why others are left out: where a fact is unknown for more than a few images
    of a class, that it is unknown would be taken for a property of them."""
    found, labels = _facts(index, rows), index.labels[rows]
    facts, texts, left_out = [], {}, {}
    for number, fact in enumerate(FACTS):
        values = found.column(f"v{number}")
        absent = (pc.is_null(values).to_numpy()) & ~found.column(f"k{number}").to_numpy()
        shares = [absent[labels == label].mean() if (labels == label).any() else 0.0 for label in (REAL, FAKE)]
        if max(shares) > UNKNOWN:
            left_out[fact.name] = f"unknown for {shares[0]:.0%} of the real and {shares[1]:.0%} of the generated images"
            continue
        facts.append(fact.name)
        if fact.text:
            counts = pc.value_counts(values.drop_null()).to_pylist()
            texts[fact.name] = [
                one["values"] for one in sorted(counts, key=lambda one: (-one["counts"], one["values"]))
            ]
            texts[fact.name] = texts[fact.name][: _VALUES - 1]
    return Vocabulary(tuple(facts), texts), left_out


def facts_of(index: Index, rows: Rows, vocabulary: Vocabulary) -> Numbers:
    """The facts of these images: shape (rows, facts), NaN where one is unknown or does not apply."""
    found = _facts(index, rows)
    columns = []
    for number, fact in enumerate(FACTS):
        if fact.name not in vocabulary.facts:
            continue
        values = found.column(f"v{number}")
        if fact.text:
            known = vocabulary.texts[fact.name]
            places = pc.index_in(values, value_set=pa.array(known, pa.string()))
            numbers = np.where(pc.is_null(values).to_numpy(), np.nan, places.fill_null(len(known)).to_numpy())
        else:
            numbers = values.cast(pa.float64()).fill_null(np.nan).to_numpy()
        columns.append(numbers.astype(np.float64))
    return np.column_stack(columns) if columns else np.empty((len(rows), 0))


def _facts(index: Index, rows: Rows) -> pa.Table:
    """The value of each fact, and whether there is nothing to know of it."""
    fields = ", ".join(f"({fact.value}) AS v{n}, coalesce({fact.known}, false) AS k{n}" for n, fact in enumerate(FACTS))
    table = pa.table({name: _plain(index.table.column(name).take(rows)) for name in _COLUMNS})
    with connected() as connection:
        connection.register("images", table)
        found: pa.Table = connection.sql(f"SELECT {fields} FROM images").to_arrow_table()
    return found


def _plain(values: pa.ChunkedArray) -> Any:
    return values.cast(pa.string()) if pa.types.is_dictionary(values.type) else values


_COLUMNS = (
    *("format", "mode", "width", "height", "file_size", "jpeg_quality", "chroma_subsampling", "progressive"),
    *("has_exif", "has_icc"),
)
