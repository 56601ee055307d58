"""The PNG writer against Pillow's default, on photographs of 512 x 512 pixels."""

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from benchmarks.timing import Comparison, compare
from demo.photographs import write_photos
from samplers.child.pixel_checks import Pixels
from samplers.child.png import encode_png


def run() -> Iterator[Comparison]:
    """One comparison; raises `AssertionError` if the decoded pixels differ."""
    pictures = photographs()
    ours = [encode_png(picture) for picture in pictures]
    theirs = [by_pillow(picture) for picture in pictures]
    for picture, png in zip(pictures, ours, strict=True):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(png))), picture)
    size = sum(map(len, ours)) / sum(map(len, theirs))
    yield compare(
        f"PNG of {len(pictures)} photographs, 512 x 512 (size {size:.2f} of Pillow's)",
        lambda: [encode_png(picture) for picture in pictures],
        lambda: [by_pillow(picture) for picture in pictures],
        "at least 3 times as fast as Pillow's default",
    )


def photographs() -> list[Pixels]:
    """The demo's photographs at the size of most generators' images, each (512, 512, 3) RGB bytes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_photos(folder)
        files = sorted(path for path in folder.rglob("*") if path.suffix in {".png", ".jpg", ".jpeg"})
        pictures = [np.asarray(Image.open(path).convert("RGB")) for path in files]
    return [cv2.resize(picture, (512, 512), interpolation=cv2.INTER_AREA) for picture in pictures]


def by_pillow(picture: Pixels) -> bytes:
    """The PNG that `image.save(path)` writes."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()
