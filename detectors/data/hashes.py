"""Hashes as numbers: joining tables of millions of images by texts of 64 letters takes too much memory."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Hashes = npt.NDArray[np.uint64]

#: Rows that are converted at a time: each takes 300 bytes meanwhile.
_ROWS = 50_000


def hashes_of(column: pa.ChunkedArray) -> Hashes:
    """The first 16 digits of each sha256 of a column as a number, 0 for null: two of ten million images share one with
    a probability of 1 in 300,000. A column that has such numbers already is taken as it is. Raises `ValueError` for a
    text that has not 64 letters."""
    if pa.types.is_uint64(column.type):
        return np.asarray(column.to_numpy())
    if pa.types.is_dictionary(column.type):
        whole = column.unify_dictionaries().combine_chunks()
        if isinstance(whole, pa.ChunkedArray):
            whole = whole.chunk(0) if whole.num_chunks else pa.array([], column.type)
        names = np.append(hashes_of(pa.chunked_array([whole.dictionary])), np.uint64(0))
        return np.asarray(names[whole.indices.fill_null(-1).to_numpy()])
    found, start = np.empty(len(column), np.uint64), 0
    for chunk in column.chunks:
        for at in range(0, len(chunk), _ROWS):
            some = _of_chunk(chunk.slice(at, _ROWS))
            found[start : start + len(some)] = some
            start += len(some)
    return found


def _of_chunk(chunk: pa.Array) -> Hashes:
    found = np.zeros(len(chunk), np.uint64)
    valid = chunk.is_valid().to_numpy(zero_copy_only=False)
    texts = chunk.drop_null() if chunk.null_count else chunk
    if not len(texts):
        return found
    ends = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    if (np.diff(ends) != 64).any():
        raise ValueError("a sha256 has 64 digits")
    letters = np.frombuffer(texts.buffers()[2], np.uint8)[ends[0] : ends[-1]].reshape(-1, 64)[:, :16]
    digits = np.where(letters >= ord("a"), letters - (ord("a") - 10), letters - ord("0")).astype(np.uint64)
    found[valid] = np.bitwise_or.reduce(digits << np.arange(60, -4, -4, dtype=np.uint64), axis=1)
    return found
