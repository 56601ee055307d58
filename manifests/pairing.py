"""Pairing: real images beside the generated ones, so that each generator has as many of both.

An evaluation by generator needs both classes under each generator, in equal numbers. A generated image is paired with
the real image whose caption was its prompt; where that one is not there, or has a pair in this group already, with the
image of the same real source whose size is nearest; and where that source has none left, with the nearest of all. In
one group a real image has one pair at most; several groups may have the same image. A group's pairs depend on its own
images and on the real ones, not on other groups, so a new generator changes no pair of the others. Images of one round
after the other get their pairs, among the real images that were there in that round: a later round changes none of
them.
"""

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

#: Columns of the manifest that `pair` reads, besides the groups.
GENERATED_COLUMNS = ("round", "real_sha256", "real_source", "width", "height")
REAL_COLUMNS = ("round", "sha256", "real_source", "width", "height")

#: Sizes of generated images whose nearest real images are kept in memory.
_SIZES = 16


def pair(
    groups: pa.ChunkedArray | pa.Array, generated: pa.Table, real: pa.Table, *, by_round: bool = True
) -> np.ndarray:
    """The row of `real` that each generated image is paired with, int64; -1 where no real image is left for its group.

    `groups`: texts, one for each row of `generated`; equal ones are neighbours. The tables have `GENERATED_COLUMNS` and
    `REAL_COLUMNS`, sizes in pixels; each row of `real` is another image. `by_round`: whether a later round changes no
    pair; otherwise no image comes before others because of its round.
    """
    if not by_round:
        generated, real = (_in_one_round(rows) for rows in (generated, real))
    images = _RealImages(real)
    own = images.with_hashes(generated.column("real_sha256"))
    pairs = np.full(len(generated), -1, dtype=np.int64)
    for group, start, end in _runs(groups):
        rows = generated.slice(start, end - start)
        pairs[start:end] = images.beside(group, own[start:end].tolist(), rows)
    return pairs


class _RealImages:
    """Real images, in sets of one source and size; within a set by sha256."""

    def __init__(self, rows: pa.Table) -> None:
        self._hashes = rows.column("sha256").combine_chunks()
        self._joined_in = _integers(rows, "round")
        self._keys = np.array([int(sha256[:16], 16) for sha256 in self._hashes.to_pylist()], dtype=np.uint64)
        # By name, so that of equally near images of several sources the same one is first, whatever else is there.
        names = sorted(pc.unique(rows.column("real_source")).drop_null().to_pylist())
        self._codes = {name: code for code, name in enumerate(names)}
        codes = pc.index_in(rows.column("real_source"), value_set=pa.array(names, pa.string()))
        of_rows = np.stack([codes.fill_null(-1).to_numpy(), *(_integers(rows, side) for side in _SIDES)])
        self._rows = np.lexsort((self._keys, *of_rows[::-1]))
        self._sets, self._first = np.unique(of_rows[:, self._rows], axis=1, return_index=True)
        # Most generators make images of few sizes.
        self._sets_by_size = lru_cache(_SIZES)(
            lambda source, size: _by_size(self._sets, self._codes[source] if source is not None else None, size)
        )

    def with_hashes(self, hashes: pa.ChunkedArray) -> np.ndarray:
        """The rows of the images with these sha256; -1 where there is none."""
        return np.asarray(pc.fill_null(pc.index_in(hashes, value_set=self._hashes), -1).to_numpy())

    def beside(self, group: str, own: list[int], generated: pa.Table) -> list[int]:
        """The pairs of one group; `own`: the rows of the images whose captions were the prompts, or -1."""
        pairs, used = [-1] * len(own), {-1}
        # Where in its set a group begins, so that generators without prompts do not all get the same images.
        start = int(hashlib.sha256(group.encode()).hexdigest()[:16], 16)
        sources = generated.column("real_source").to_pylist()
        sizes = list(zip(*(generated.column(side).to_pylist() for side in _SIDES), strict=True))
        rounds = _integers(generated, "round")
        for this in np.unique(rounds).tolist():
            of_round = np.flatnonzero(rounds == this).tolist()
            for at in of_round:
                if own[at] not in used and self._joined_in[own[at]] <= this:
                    pairs[at] = own[at]
                    used.add(own[at])
            for in_source in (True, False):
                candidates: dict[tuple[str | None, tuple[int, int]], Iterator[int]] = {}
                for at in of_round:
                    if pairs[at] >= 0 or (in_source and sources[at] not in self._codes):
                        continue
                    key = (sources[at] if in_source else None, sizes[at])
                    nearest = candidates.setdefault(key, self._nearest(*key, start, this))
                    found = next((candidate for candidate in nearest if candidate not in used), -1)
                    pairs[at] = found
                    used.add(found)
        return pairs

    def _nearest(self, source: str | None, size: tuple[int, int], start: int, last_round: int) -> Iterator[int]:
        """All images that were there in a round, of a source or (None) of all, by the difference of their sizes in
        pixels."""
        for at in map(int, self._sets_by_size(source, size)):
            rows = self._rows[self._first[at] : self._first[at + 1] if at + 1 < len(self._first) else None]
            first = int(np.searchsorted(self._keys[rows], np.uint64(start)))
            in_order = np.concatenate([rows[first:], rows[:first]])
            yield from in_order[self._joined_in[in_order] <= last_round].tolist()


def _by_size(sets: np.ndarray, code: int | None, size: tuple[int, int]) -> np.ndarray:
    """The numbers of the sets, of a source or of all, by the difference of their sizes and this one."""
    codes, *sides = sets
    chosen = np.arange(len(codes)) if code is None else np.flatnonzero(codes == code)
    difference = sum(np.abs(side[chosen] - length) for side, length in zip(sides, size, strict=True))
    return np.asarray(chosen[np.argsort(difference, kind="stable")])


_SIDES = ("width", "height")


def _in_one_round(rows: pa.Table) -> pa.Table:
    position = rows.schema.get_field_index("round")
    return rows.set_column(position, rows.schema.field(position), pa.repeat(pa.scalar(1, pa.int32()), len(rows)))


def _integers(rows: pa.Table, name: str) -> np.ndarray:
    return np.asarray(rows.column(name).to_numpy(), dtype=np.int64)


def _runs(groups: pa.ChunkedArray | pa.Array) -> Iterator[tuple[str, int, int]]:
    """Each group with its first row and the row after its last."""
    encoded = pc.dictionary_encode(
        pa.chunked_array(groups) if isinstance(groups, pa.Array) else groups
    ).unify_dictionaries()
    if not len(encoded):
        return
    whole = encoded.combine_chunks()
    codes = whole.indices.to_numpy()
    borders = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    for start, end in pairwise(borders):
        yield whole.dictionary[int(codes[start])].as_py(), start, end
