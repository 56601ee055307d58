"""PNGs without metadata, and the part that speaks of them.

OpenCV at level 1 with run-length strategy takes a quarter of the time of Pillow's default, for files that are a fifth
larger at most (`make bench`). An image lies on the disk before the part that names it; both appear whole or not at all.
"""

import hashlib
from pathlib import Path

import numpy as np

from samplers.child.gate import Pixels
from samplers.sample import Sample
from workspace import records
from workspace.atomic import write_bytes
from workspace.layout import Workspace, part_name


def encode_png(pixels: Pixels) -> bytes:
    """The PNG of (height, width, 3) RGB or (height, width) grey pixels: nothing in it but these."""
    import cv2

    # OpenCV thinks in blue, green, red.
    ordered = pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[:, :, ::-1])
    settings = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
    written, encoded = cv2.imencode(".png", ordered, settings)
    if not written:
        raise ValueError(f"OpenCV could not encode an image of shape {pixels.shape}")
    return bytes(encoded.tobytes())


def image_name(index: int) -> str:
    """The file name of the try with that index: 00000162.png."""
    return f"{index:08d}.png"


class Writer:
    """Writes one generator's images and parts."""

    def __init__(self, workspace: Path, model_name: str, next_part: int) -> None:
        self._workspace = Workspace(workspace)
        self._model_name = model_name
        self._next_part = next_part

    def image_path(self, index: int) -> str:
        """Where the image of that try lies, relative to the workspace."""
        path = self._workspace.images_of(self._model_name) / image_name(index)
        return path.relative_to(self._workspace.root).as_posix()

    def image(self, index: int, png: bytes) -> str:
        """Write one image; returns its sha256."""
        write_bytes(self._workspace.images_of(self._model_name) / image_name(index), png)
        return hashlib.sha256(png).hexdigest()

    def part(self, rows: list[Sample]) -> None:
        """Write the next part; its images lie there already."""
        path = self._workspace.samples_of(self._model_name) / part_name(self._next_part)
        records.write(path, Sample, rows)
        self._next_part += 1
