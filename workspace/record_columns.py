"""Rows of Arrow tables as records, column by column.

Equal texts of a column are one text in memory, and equal nested records one record: a catalogue of fifty thousand
fine-tunes names the same few files a million times. That is also several times as fast as building every value anew.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

R = TypeVar("R")


def rows_of(record: type[R], batch: pa.RecordBatch) -> list[R]:
    """The rows of a batch as records; what it has no column for gets its default."""
    names, of = batch.schema.names, _nested(record)  # type: ignore[arg-type]
    values = [_values(column, *of.get(name, (None, False))) for name, column in zip(names, batch.columns, strict=True)]
    return [record(**dict(zip(names, row, strict=True))) for row in zip(*values, strict=True)]


def _values(column: pa.Array, of: type | None, many: bool) -> Sequence[Any]:
    """The values of a column: texts, records of a class, tuples, and anything else as Arrow gives it."""
    if many or pa.types.is_list(column.type):
        return list(_tuples(column, of))
    if of is not None:
        return _shared_records(column, of)
    return _texts(column) if pa.types.is_string(column.type) else column.to_pylist()


def _tuples(column: pa.Array, of: type | None) -> Iterator[tuple[Any, ...] | None]:
    items = iter(_values(column.flatten(), of, False))
    empty: tuple[Any, ...] = ()
    for length in pc.list_value_length(column).to_pylist():
        yield None if length is None else tuple(islice(items, length)) if length else empty


def _texts(column: pa.Array) -> Sequence[str | None]:
    """Equal texts are one object."""
    if column.null_count == len(column):
        return [None] * len(column)
    encoded = column.dictionary_encode()
    # A null has the last place.
    texts = [*encoded.dictionary.to_pylist(), None]
    return [texts[number] for number in encoded.indices.fill_null(-1).to_pylist()]


def _shared_records(column: pa.StructArray, of: type) -> list[Any]:
    """Equal records are one object."""
    names = [column.type.field(number).name for number in range(column.type.num_fields)]
    kinds = _nested(of)
    values = [
        _values(each, *kinds.get(name, (None, False))) for name, each in zip(names, column.flatten(), strict=True)
    ]
    # By their texts, as 0.0 equals -0.0.
    keys = [list(map(repr, each)) if _has_floats(each) else each for each in values]
    made: dict[tuple[Any, ...], Any] = {}
    found = []
    for is_there, key, row in zip(
        column.is_valid().to_pylist(), zip(*keys, strict=True), zip(*values, strict=True), strict=True
    ):
        one = made.get(key) if is_there else None
        if one is None and is_there:
            one = made[key] = of(**dict(zip(names, row, strict=True)))
        found.append(one)
    return found


def _has_floats(values: Sequence[Any]) -> bool:
    return any(isinstance(value, float) for value in values)


@functools.cache
def _nested(record: type) -> dict[str, tuple[type, bool]]:
    """The fields that are records themselves: their class, and whether they are several."""
    return {
        field.name: (field.metadata["of"], field.metadata["many"])
        for field in dataclasses.fields(record)
        if field.metadata["of"] is not None
    }
