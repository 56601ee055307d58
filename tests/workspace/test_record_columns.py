"""Rows of Arrow tables come back as the records that they were, and equal parts of them are one object."""

import math
from dataclasses import dataclass

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from workspace import records
from workspace.record_columns import rows_of
from workspace.records import column

TEXTS = st.sampled_from(["", "a", "b", "\U0001f600"])


@dataclass(frozen=True)
class Detail:
    tags: tuple[str, ...] = column(pa.list_(pa.string()), "words", default=())
    content: bytes | None = column(pa.binary(), "stored as it is", default=None)


@dataclass(frozen=True)
class Piece:
    name: str = column(pa.string(), "its name")
    weight: float | None = column(pa.float64(), "how heavy it is", default=None)
    detail: Detail | None = column(doc="what is in it", of=Detail, default=None)


@dataclass(frozen=True)
class Whole:
    key: str | None = column(pa.string(), "what it is found by", default=None)
    words: tuple[str | None, ...] | None = column(pa.list_(pa.string()), "words", default=None)
    piece: Piece | None = column(doc="one", of=Piece, default=None)
    pieces: tuple[Piece, ...] = column(doc="several", of=Piece, many=True, default=())


DETAILS = st.builds(Detail, st.lists(TEXTS, max_size=2).map(tuple), st.none() | st.binary(max_size=2))
PIECES = st.builds(Piece, TEXTS, st.none() | st.sampled_from([0.0, -0.0, 1.5, math.inf]), st.none() | DETAILS)
WHOLES = st.builds(
    Whole,
    st.none() | TEXTS,
    st.none() | st.lists(st.none() | TEXTS, max_size=2).map(tuple),
    st.none() | PIECES,
    st.lists(PIECES, max_size=3).map(tuple),
)


@given(st.lists(WHOLES, max_size=6), st.integers(0, 5), st.integers(0, 6))
def test_any_rows_of_any_slice_come_back_as_they_were(rows: list[Whole], first: int, count: int) -> None:
    (batch,) = records.to_table(Whole, rows).combine_chunks().to_batches() or [None]
    found = [] if batch is None else rows_of(Whole, batch.slice(min(first, len(rows)), count))
    # As texts: -0.0 equals 0.0.
    assert repr(found) == repr(rows[first : first + count])


def test_equal_texts_and_equal_nested_records_are_one_object() -> None:
    rows = [Whole("k", ("w",), Piece("p", 1.0), (Piece("q"), Piece("q"))) for _ in range(2)]
    (batch,) = records.to_table(Whole, rows).to_batches()
    one, other = rows_of(Whole, batch)
    assert one.key is other.key
    assert one.piece is other.piece
    assert {id(piece) for row in (one, other) for piece in row.pieces} == {id(one.pieces[0])}


def test_a_column_that_is_not_there_has_its_default() -> None:
    (batch,) = records.to_table(Whole, [Whole("k", ("w",))]).select(["key"]).to_batches()
    assert rows_of(Whole, batch) == [Whole("k")]
