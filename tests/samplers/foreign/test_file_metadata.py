"""What a file says beside its pixels: Content Credentials by the places of the specification, texts, and no place."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from samplers.foreign.file_metadata import LONGEST, LONGEST_TEXT, bounded, file_texts, has_c2pa
from tests.samplers.foreign.making import encoded, picture, with_c2pa


def _jpeg_with_c2pa(jpeg: bytes) -> bytes:
    body = b"JP\0\1\0\0\0\1" + b"\0\0\0\x20jumb\0\0\0\x18jumdc2pa"
    return jpeg[:2] + b"\xff\xeb" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def _webp_with_c2pa(webp: bytes) -> bytes:
    chunk = b"C2PA" + struct.pack("<I", 9) + b"jumb c2pa" + b"\0"
    return b"RIFF" + struct.pack("<I", len(webp) - 8 + len(chunk)) + webp[8:] + chunk


FILES = [encoded(picture(1)), encoded(picture(1), "JPEG"), encoded(picture(1), "WEBP")]


@pytest.mark.parametrize(
    ("plain", "signed"),
    list(zip(FILES, [with_c2pa(FILES[0]), _jpeg_with_c2pa(FILES[1]), _webp_with_c2pa(FILES[2])], strict=True)),
)
def test_content_credentials_are_found_in_each_format(plain: bytes, signed: bytes) -> None:
    assert has_c2pa(signed)
    assert not has_c2pa(plain)
    with Image.open(io.BytesIO(signed)) as image:
        image.load()


@given(st.sampled_from(FILES), st.integers(0, 400), st.binary(max_size=30))
def test_no_file_ends_the_search(content: bytes, at: int, noise: bytes) -> None:
    has_c2pa(content[:at] + noise)


def test_where_a_photograph_was_taken_is_not_copied() -> None:
    exif = Image.Exif()
    exif[0x0131] = "A program"
    exif.get_ifd(0x8825)[2] = (48.0, 51.0, 30.0)
    with Image.open(io.BytesIO(encoded(picture(1), "JPEG", exif=exif.tobytes(), comment=b"hello"))) as image:
        image.load()
        assert file_texts(image) == {
            "exif:Software": "A program",
            "exif:GPSInfo": "(has a place, which is not copied)",
            "comment": "hello",
        }


def test_long_texts_are_cut_and_say_so() -> None:
    found = bounded({name: name * 50_000 for name in "abcde"})
    assert found["a"].endswith(" (cut: 50,000 characters)")
    assert len(found["a"]) < LONGEST_TEXT + 50
    assert sum(map(len, found.values())) < LONGEST + 500
