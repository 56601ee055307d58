"""Nearest neighbours by cosine, exact, some queries at a time."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Features = npt.NDArray[np.float32]
"""Features of shape (images, numbers)."""

Codes = npt.NDArray[np.int64]
"""A class of each image, from 0."""

#: Cosines that are held at a time: 256 MB.
_COSINES = 1 << 26


def normalised(features: npt.NDArray[np.floating]) -> Features:
    """Features of length 1; those of no length stay."""
    values = features.astype(np.float32)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.where(length > 0, length, 1), dtype=np.float32)


def voted(queries: Features, bank: Features, classes: Codes, k: int) -> Codes:
    """The class that most of the `k` nearest images of the bank have, for each query.

    `queries`, `bank`: normalised. Of classes with as many votes it is the one whose votes are nearer in sum.
    """
    number, k = int(classes.max()) + 1, min(k, len(bank))
    found = []
    for cosines in _cosines(queries, bank):
        places = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
        near = np.take_along_axis(cosines, places, axis=1)
        votes = np.zeros((len(cosines), number))
        rows = np.broadcast_to(np.arange(len(cosines))[:, None], places.shape)
        # A cosine is at most 1, so that all of them together are less than half a vote.
        np.add.at(votes, (rows, classes[places]), 1 + near / (4 * k))
        found.append(votes.argmax(axis=1))
    return np.concatenate(found) if found else np.empty(0, np.int64)


def nearness(queries: Features, bank: Features, classes: Codes, k: int) -> npt.NDArray[np.float32]:
    """How near each query is to each class: the mean cosine of its `k` nearest images of that class, of shape
    (queries, classes). A class with fewer images has the mean of those; one without is -2 away, further than any.

    `queries`, `bank`: normalised; k: at least 1.
    """
    number = int(classes.max(initial=-1)) + 1
    order = np.argsort(classes, kind="stable")
    bounds = np.searchsorted(classes[order], np.arange(number + 1))
    result = np.full((len(queries), number), -2, np.float32)
    start = 0
    for cosines in _cosines(queries, bank[order]):
        for code in range(number):
            own = cosines[:, bounds[code] : bounds[code + 1]]
            if own.shape[1] > k:
                own = -np.partition(-own, k - 1, axis=1)[:, :k]
            if own.shape[1]:
                result[start : start + len(cosines), code] = own.mean(axis=1)
        start += len(cosines)
    return result


def ranks(near: npt.NDArray[np.float32], truth: Codes, candidates: Sequence[int]) -> Codes:
    """The place of the true class of each query among the candidates, from 1. Equally near ones are all before it."""
    among = near[:, list(candidates)]
    own = np.take_along_axis(near, truth[:, None], axis=1)
    return np.asarray((among >= own).sum(axis=1), dtype=np.int64)


def _cosines(queries: Features, bank: Features) -> Iterator[Features]:
    """The cosine of each query and each image of the bank, some queries at a time."""
    step = max(1, _COSINES // max(1, len(bank)))
    for start in range(0, len(queries), step):
        yield queries[start : start + step] @ bank.T
