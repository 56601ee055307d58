import hashlib
import io
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from samplers.child.pixel_checks import Pixels
from samplers.child.writing import Png, Writer, encode_png
from samplers.sample import ImageFile


def _chunks(png: bytes) -> Iterator[bytes]:
    place = 8
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        yield png[place + 4 : place + 8]
        place += 12 + length


_SIDES = st.integers(1, 40)


@given(
    st.tuples(_SIDES, _SIDES).flatmap(lambda size: arrays.arrays(np.uint8, st.sampled_from([(*size, 3), size]))),
)
def test_a_png_holds_the_pixels_and_nothing_else(pixels: Pixels) -> None:
    png = encode_png(pixels)
    with Image.open(io.BytesIO(png)) as image:
        assert image.mode == ("L" if pixels.ndim == 2 else "RGB")
        assert image.info == {}
        assert (np.asarray(image) == pixels).all()
    assert set(_chunks(png)) == {b"IHDR", b"IDAT", b"IEND"}


def test_an_image_is_named_by_its_index(tmp_path: Path) -> None:
    writer = Writer(tmp_path, "org/name", 0)
    png = Png.of(np.zeros((2, 2), np.uint8))
    writer.image(162, png)
    assert png.sha256 == hashlib.sha256(png.content).hexdigest()
    assert writer.image_file(162, png) == ImageFile(path="images/org--name/00000162.png")
    assert (tmp_path / "images/org--name/00000162.png").read_bytes() == png.content


def test_a_failed_write_leaves_no_partial_file(tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(b"a file where a folder should be")
    with pytest.raises(OSError, match=r"."):
        Writer(tmp_path, "org/name", 0).image(0, Png.of(np.zeros((2, 2), np.uint8)))
    assert [path.name for path in tmp_path.iterdir()] == ["images"]
