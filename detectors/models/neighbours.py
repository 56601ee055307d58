"""Nearest neighbours as a detector (Ojha et al. 2023): a bank of features of training images, and cosines.

The score of an image is the mean cosine of its K nearest generated images minus that of its K nearest real ones. The
bank stays float16, 1.1 GB for 720,000 images of 768 numbers, and is compared block by block.
"""

import numpy as np
import numpy.typing as npt

from manifests.manifest import FAKE, REAL

#: Images of the bank that are compared at a time: 200 MB as float32 with 768 numbers.
_BLOCK = 65_536
#: Values of which only the largest is compared at first.
_PIECE = 64


class Bank:
    """Features of training images, of both labels, normalised."""

    def __init__(self, features: npt.NDArray[np.float16], labels: npt.NDArray[np.int8], k: int) -> None:
        """`features`: shape (images, numbers), of any length; `k`: neighbours of each label."""
        self.features, self.labels, self._k = normalised(features).astype(np.float16), labels, k
        order = np.argsort(labels, kind="stable")
        if not np.array_equal(order, np.arange(len(order))):
            self.features, self.labels = self.features[order], labels[order]

    def logits(self, features: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """The score of each image, from -2 to 2: float32 of shape (images,)."""
        queries = normalised(features)
        return (self._nearness(queries, FAKE) - self._nearness(queries, REAL)).astype(np.float32)

    def _nearness(self, queries: npt.NDArray[np.float32], label: int) -> npt.NDArray[np.float32]:
        """The mean cosine of the K nearest images of a label; of all where there are fewer."""
        first, last = np.searchsorted(self.labels, [label, label + 1])
        best = np.empty((len(queries), 0), np.float32)
        for start in range(first, last, _BLOCK):
            block = self.features[start : min(start + _BLOCK, last)].astype(np.float32)
            best = np.concatenate([best, _largest(queries @ block.T, self._k)], axis=1)
        best = _largest(best, self._k)
        return np.asarray(best.mean(axis=1), np.float32)


def _largest(values: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.float32]:
    """The `k` largest values of each row, in any order; all where there are fewer.

    They are in the `k` pieces with the largest maxima, so few values are partitioned.
    """
    rows, columns = values.shape
    whole = columns // _PIECE * _PIECE
    if whole > 2 * k * _PIECE:
        pieces = values[:, :whole].reshape(rows, -1, _PIECE)
        chosen = np.argpartition(pieces.max(axis=2), -k, axis=1)[:, -k:]
        inside = np.take_along_axis(pieces, chosen[:, :, None], axis=1).reshape(rows, -1)
        values = np.concatenate([inside, values[:, whole:]], axis=1)
    return np.partition(values, -k, axis=1)[:, -k:] if values.shape[1] > k else values


def normalised(features: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Features of length 1, as float32; those of no length stay."""
    values = features.astype(np.float32)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.where(length > 0, length, 1), np.float32)
