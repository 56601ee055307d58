"""Images that look alike, by the Hamming distance of their perceptual hashes.

pHash (Zauner 2010, as `imagehash` computes it) has a bit for each of the 64 lowest frequencies of the picture scaled to
32x32 grey pixels: it hardly changes when a picture is scaled, compressed again or slightly cropped.
"""

import numpy as np
import numpy.typing as npt


class SimilarImages:
    """The images of one generator that are kept so far. Of equal files each is kept: the manifest leaves out all but
    the first, as of those that are sampled here."""

    def __init__(self, distance: int) -> None:
        """`distance`: bits in which the hashes of two images may differ that look alike."""
        self._distance, self._count = distance, 0
        self._hashes: npt.NDArray[np.uint64] = np.empty(1024, np.uint64)
        self._indices: npt.NDArray[np.int64] = np.empty(1024, np.int64)
        self._first: dict[str, int] = {}

    def find(self, index: int, sha256: str, perceptual_hash: str) -> int | None:
        """The lowest index, below this one, of an image that looks as this one and is another file; None: there is
        none, or the file is kept already."""
        if self._first.get(sha256, index) < index:
            return None
        known = self._hashes[: self._count]
        alike = np.bitwise_count(known ^ np.uint64(int(perceptual_hash, 16))) <= self._distance
        found = self._indices[: self._count][alike]
        return int(found.min()) if found.size and found.min() < index else None

    def add(self, index: int, sha256: str, perceptual_hash: str) -> None:
        """Count an image that is kept."""
        self._first[sha256] = min(index, self._first.get(sha256, index))
        if self._count == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.empty_like(self._hashes)])
            self._indices = np.concatenate([self._indices, np.empty_like(self._indices)])
        self._hashes[self._count], self._indices[self._count] = np.uint64(int(perceptual_hash, 16)), index
        self._count += 1
