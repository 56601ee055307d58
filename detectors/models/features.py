"""Features of images, computed once: detect/features/<backbone>[-<transform>]/<digest>.parquet.

A file has the features of some hundred images by the sha256 of each, so every run, protocol and study that needs the
features of an image finds them, whatever rows of whatever index it is in. What cannot be read is in no file.
"""

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from detectors.data.hashes import Hashes, hashes_of
from detectors.data.images import ImageDecoders
from detectors.data.index import Index, Rows
from detectors.models.backbones import Backbone
from detectors.pixels.inputs import Image
from detectors.pixels.transforms import ORIGINAL, Transform
from workspace import records
from workspace.errors import CommunityForensicsError
from workspace.layout import Workspace
from workspace.progress import task

Features = npt.NDArray[np.float16]

#: Images of one file: a process that is killed loses at most so many.
_PART = 512
#: Images that a backbone is given at a time.
_BATCH = 32


def features_of(
    workspace: Workspace, index: Index, rows: Rows, backbone: Backbone, transform: Transform = ORIGINAL
) -> Features:
    """The features of each row, float16 of shape (rows, numbers); NaN for an image that cannot be read, which
    `index.unread` names.

    `transform`: what is done to an image before. Only what is in no file is computed. Raises
    `CommunityForensicsError` where no image can be read.
    """
    folder = _folder(workspace, backbone, transform)
    hashes = index.hashes("sha256")[rows]
    order = np.argsort(hashes, kind="stable")
    places = _Places(hashes[order], order)
    found: Features | None = None
    for known, features in _cached(folder, hashes[order]):
        found = _empty(found, len(rows), features.shape[1])
        places.put(found, known, features)
    wanted = rows[~places.filled] if found is not None else rows
    with task("features", total=len(wanted)) as bar:
        for known, features in _computed(index, wanted, backbone, transform, folder):
            found = _empty(found, len(rows), features.shape[1])
            places.put(found, known, features)
            bar.advance(min(_PART, len(wanted)))
    if found is None:
        why = next(iter(index.unread.values()), "there are none")
        raise CommunityForensicsError(f"no features: of {len(rows)} images none can be read ({why})")
    return found


def without_features(workspace: Workspace, index: Index, rows: Rows, backbone: Backbone) -> Rows:
    """Those of the rows whose features are in no file."""
    parts = tuple(sorted(_folder(workspace, backbone, ORIGINAL).glob("*.parquet")))
    return rows[~np.isin(index.hashes("sha256")[rows], _contents(parts)[0])] if parts else rows


def _folder(workspace: Workspace, backbone: Backbone, transform: Transform) -> Path:
    name = backbone.key if transform == ORIGINAL else f"{backbone.key}-{transform}"
    return workspace.detect / "features" / name


class _Places:
    """Where in the result an image's features belong: the same image may be in several rows."""

    def __init__(self, hashes: npt.NDArray[np.uint64], order: npt.NDArray[np.int64]) -> None:
        self._hashes, self._order = hashes, order
        self.filled = np.zeros(len(order), bool)

    def put(self, into: Features, hashes: npt.NDArray[np.uint64], features: Features) -> None:
        first, last = (np.searchsorted(self._hashes, hashes, side) for side in ("left", "right"))
        counts = last - first
        sources = np.repeat(np.arange(len(hashes)), counts)
        within = np.arange(len(sources)) - np.repeat(np.cumsum(counts) - counts, counts)
        targets = self._order[np.repeat(first, counts) + within]
        into[targets] = features[sources]
        self.filled[targets] = True


def _empty(found: Features | None, rows: int, width: int) -> Features:
    if found is None:
        return np.full((rows, width), np.nan, np.float16)
    if found.shape[1] != width:
        raise CommunityForensicsError(
            f"features of {width} and of {found.shape[1]} numbers under one name: remove the folder detect/features"
        )
    return found


def _cached(folder: Path, wanted: Hashes) -> Iterator[tuple[Hashes, Features]]:
    """What the files of a folder have of the wanted images, whose hashes are sorted; others are in it too."""
    parts = tuple(sorted(folder.glob("*.parquet"))) if folder.is_dir() else ()
    if not parts:
        return
    known, numbers = _contents(parts)
    first, last = (np.searchsorted(known, wanted, side) for side in ("left", "right"))
    chosen = np.zeros(len(parts), bool)
    for copy in range(int((last - first).max(initial=0))):  # an image may be in several files
        chosen[numbers[first[last - first > copy] + copy]] = True
    for part in (parts[number] for number in np.flatnonzero(chosen)):
        with records.reading(part):
            table = pq.read_table(part, page_checksum_verification=True)
        column = table.column("feature").combine_chunks()
        width = column.type.list_size
        yield hashes_of(table.column("sha256")), column.flatten().to_numpy().reshape(-1, width)


@lru_cache(maxsize=4)
def _contents(parts: tuple[Path, ...]) -> tuple[Hashes, npt.NDArray[np.int32]]:
    """The hashes of the images in files of features, sorted, and the number of the file of each: 12 bytes an image.
    Files never change, so this is kept while none is added."""
    found = []
    for part in parts:
        with records.reading(part):
            found.append(hashes_of(pq.read_table(part, columns=["sha256"], partitioning=None).column("sha256")))
    known = np.concatenate(found)
    numbers = np.repeat(np.arange(len(parts), dtype=np.int32), [len(hashes) for hashes in found])
    order = np.argsort(known, kind="stable")
    return known[order], numbers[order]


def _computed(
    index: Index, rows: Rows, backbone: Backbone, transform: Transform, folder: Path
) -> Iterator[tuple[npt.NDArray[np.uint64], Features]]:
    """The features of rows, some hundred at a time, written as they come."""
    if not len(rows):
        return
    texts, numbers = index.table.column("sha256"), index.hashes("sha256")
    with ImageDecoders() as decoders:
        for start in range(0, len(rows), _PART):
            there: list[int] = []
            images: list[Image] = []
            made: list[npt.NDArray[np.float32]] = []
            for row, image in decoders.read(index, rows[start : start + _PART]):
                if image is None:
                    continue
                there.append(row)
                images.append(transform.apply(image))
                if len(images) == _BATCH:
                    made.append(backbone.features(images))
                    images.clear()
            if images:
                made.append(backbone.features(images))
            if not there:
                continue
            features = np.concatenate(made).astype(np.float16)
            hashes = texts.take(pa.array(there)).cast(pa.string())
            _write(folder, hashes, features)
            yield numbers[there], features


def _write(folder: Path, hashes: pa.ChunkedArray, features: Features) -> None:
    digest = hashlib.sha256("".join(hashes.to_pylist()).encode()).hexdigest()[:16]
    values = pa.FixedSizeListArray.from_arrays(pa.array(features.reshape(-1)), features.shape[1])
    # Neither a dictionary nor compression makes such numbers smaller; plain, they are read three times as fast.
    table = pa.table({"sha256": hashes, "feature": values})
    records.write_table(folder / f"{digest}.parquet", table, plain=("feature.list.element",))
