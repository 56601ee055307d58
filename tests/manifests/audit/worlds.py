"""Small worlds of images whose files differ in a known way, as rows of a manifest."""

from collections.abc import Callable
from typing import Any

import numpy as np

from manifests.manifest import ManifestRow
from tests.manifests.making import sha256
from tests.manifests.report.pages import generated, image_of, real_image

#: Facts of one file, drawn with these random numbers.
Draw = Callable[[np.random.Generator], dict[str, Any]]

PNG = {"format": "PNG", "mode": "RGB", "width": 512, "height": 512, "has_exif": False, "has_icc": False}
JPEG = PNG | {"format": "JPEG", "jpeg_quality": 90, "chroma_subsampling": "4:2:0", "progressive": False}


def sized(facts: dict[str, Any], mean: float, deviation: float = 0.2) -> Draw:
    """Files with these facts, whose size in bytes is e to the power of a normally distributed number."""
    return lambda chance: facts | {"file_size": int(np.exp(chance.normal(mean, deviation)))}


def world(
    generated_files: Draw, real_files: Draw, generators: int = 10, each: int = 12, real: int = 120
) -> list[ManifestRow]:
    """Rows of so many generators with so many images each, and of so many real images."""
    chance = np.random.default_rng(1)
    rows = [
        image_of(generated(number), index, **generated_files(chance), path=f"images/{number}-{index}.png")
        for number in range(generators)
        for index in range(each)
    ]
    return rows + [
        real_image(number, **real_files(chance), sha256=sha256(f"real {number}".encode()), path=f"images/real-{number}")
        for number in range(real)
    ]
