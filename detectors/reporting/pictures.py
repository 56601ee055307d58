"""Small pictures of images that detectors judged, as data URIs: decoded in processes with limits."""

import base64
import io
from collections.abc import Sequence
from pathlib import PurePath

import numpy as np

from detectors.data.index import Index
from manifests.pictures.readers import Picture, PictureReaders, Request

#: Pixels of the longer side.
SIDE = 72


class Pictures:
    """Pictures by the sha256 of the image, where there is an index of images that can be read."""

    def __init__(self, index: Index | None) -> None:
        """None: there is none, and so no picture."""
        self._index = index
        self._hashes = np.empty(0, np.uint64) if index is None else index.hashes("sha256")
        self._order = np.argsort(self._hashes, kind="stable")

    @property
    def readable(self) -> bool:
        """Whether there may be any."""
        return self._index is not None

    def of(self, hashes: Sequence[int]) -> dict[int, str]:
        """The data URI of each image (`hashes.hashes_of`), without those that are not there or cannot be decoded."""
        known = [one for one in dict.fromkeys(hashes) if self._row(one) is not None]
        if self._index is None or not known:
            return {}
        with PictureReaders() as readers:
            shrunk = readers.read(self._request(one) for one in known)
            return {one: _uri(picture) for one, picture in zip(known, shrunk, strict=True) if picture is not None}

    def _row(self, image: int) -> int | None:
        """The first row of an image; None: it is not there."""
        key = np.uint64(image)
        place = int(np.searchsorted(self._hashes, key, sorter=self._order))
        found = place < len(self._order) and self._hashes[self._order[place]] == key
        return int(self._order[place]) if found else None

    def _request(self, image: int) -> Request | None:
        row = self._row(image)
        assert self._index is not None
        assert row is not None
        locator = self._index.table.column("locator")[row].as_py()
        try:
            content = self._index.source_of(row).read(locator)
        except OSError:
            return None
        return Request(content, PurePath(locator).suffix, SIDE)


def _uri(picture: Picture) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture.pixels).save(file, "WEBP", quality=80)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
