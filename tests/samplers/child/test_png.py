import hashlib
import io
import struct
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from samplers.child.pixel_checks import Pixels
from samplers.child.png import Png, encode_png


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


GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)
COLOUR = np.stack([GREY, GREY[::-1], GREY.T], axis=2)


@pytest.mark.parametrize(("pixels", "mode"), [(GREY, "L"), (COLOUR, "RGB")])
def test_the_columns_of_an_image_describe_its_file(pixels: Pixels, mode: str) -> None:
    png = Png.of(pixels)
    assert png.mode == mode
    assert png.columns(162) == {
        "image_name": "00000162.png",
        "sha256": hashlib.sha256(png.content).hexdigest(),
        "file_size": len(png.content),
        "format": "PNG",
        "mode": mode,
    }


def test_a_png_is_compressed() -> None:
    assert len(encode_png(np.repeat(COLOUR, 8, axis=1))) < COLOUR.nbytes


def test_what_opencv_cannot_encode_is_an_error() -> None:
    with pytest.raises(ValueError, match="1000001"):
        encode_png(np.zeros((1, 1_000_001), np.uint8))
