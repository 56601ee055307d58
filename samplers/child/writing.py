"""PNG files without metadata, and the part with their rows.

OpenCV at level 1 with the run-length strategy takes a quarter of the time of Pillow's default, for files that are at
most a fifth larger (`make bench`). An image is on the disk before the part that names it, or inside that part; files
appear complete or not at all.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from samplers.child.pixel_checks import Pixels
from samplers.options import Store
from samplers.sample import ImageFile, Sample, place_in_part
from workspace import records
from workspace.atomic import write_bytes
from workspace.layout import Workspace, part_name


@dataclass(frozen=True)
class Png:
    """An encoded image."""

    content: bytes
    sha256: str
    mode: str
    """RGB or L"""

    @classmethod
    def of(cls, pixels: Pixels) -> "Png":
        """Encode (height, width, 3) RGB or (height, width) grey pixels."""
        content = encode_png(pixels)
        return cls(content, hashlib.sha256(content).hexdigest(), "L" if pixels.ndim == 2 else "RGB")

    def columns(self, index: int) -> dict[str, Any]:
        """The columns of the sample with that index that describe the file."""
        return {
            "image_name": image_name(index),
            "sha256": self.sha256,
            "file_size": len(self.content),
            "format": "PNG",
            "mode": self.mode,
        }


def encode_png(pixels: Pixels) -> bytes:
    """The PNG of (height, width, 3) RGB or (height, width) grey pixels, without metadata."""
    import cv2

    # OpenCV orders channels as blue, green, red.
    ordered = pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[:, :, ::-1])
    settings = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
    written, encoded = cv2.imencode(".png", ordered, settings)
    if not written:
        raise ValueError(f"OpenCV could not encode an image of shape {pixels.shape}")
    return bytes(encoded.tobytes())


def image_name(index: int) -> str:
    """The file name of the sample with that index: 00000162.png."""
    return f"{index:08d}.png"


class Writer:
    """Writes one generator's images and parts: images as files beside the rows, or inside them."""

    def __init__(self, workspace: Path, model_name: str, next_part: int, store: Store = "files") -> None:
        self._workspace = Workspace(workspace)
        self._model_name = model_name
        self._next_part = next_part
        self._store = store

    def image_file(self, index: int, png: Png) -> ImageFile:
        """The column `image` of a sample whose row goes into the next part."""
        if self._store == "parquet":
            return ImageFile(bytes=png.content, path=place_in_part(self._relative(self._part), image_name(index)))
        return ImageFile(path=self._relative(self._image(index)))

    def image(self, index: int, png: Png) -> None:
        """Write one image, if images have files of their own."""
        if self._store == "files":
            write_bytes(self._image(index), png.content)

    def part(self, rows: list[Sample]) -> None:
        """Write the next part; its image files must exist already."""
        records.write(self._part, Sample, rows, plain=("image.bytes",))
        self._next_part += 1

    @property
    def _part(self) -> Path:
        return self._workspace.samples_of(self._model_name) / part_name(self._next_part)

    def _image(self, index: int) -> Path:
        return self._workspace.images_of(self._model_name) / image_name(index)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._workspace.root).as_posix()
