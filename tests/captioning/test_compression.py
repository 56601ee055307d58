"""captioning/compression.py: how files are compressed, as Pillow and libjpeg wrote them, and what they carry."""

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from captioning.compression import Compression, compression_of, estimated_quality, subsampling_name
from captioning.images import decode_image
from tests.captioning.oddities import picture

EXIF = Image.Exif()
EXIF[0x010F] = "a camera"  # its maker
EXIF.get_ifd(0x8769)[0x829A] = 0.01  # exposure time, in the directory of a camera
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def compression(content: bytes) -> Compression:
    """As the decoders record it, from a decoding at reduced size."""
    facts, _ = decode_image(io.BytesIO(content), ".jpg", 1)
    assert facts.file_size == len(content)
    return facts.compression


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_the_quality_of_a_jpeg_of_libjpeg_is_found_exactly(mode: str) -> None:
    image = Image.new(mode, (8, 8))
    found = [compression(encoded(image, "JPEG", quality=quality)).jpeg_quality for quality in range(1, 101)]
    assert found == [*range(1, 101)]


@given(st.integers(1, 100))
def test_a_table_that_is_not_of_the_ijg_has_the_quality_of_the_nearest(quality: int) -> None:
    table = Image.open(io.BytesIO(encoded(Image.new("L", (8, 8)), "JPEG", quality=quality))).quantization[0]
    changed = [entry + (1 if place == 63 and entry < 255 else 0) for place, entry in enumerate(table)]
    assert estimated_quality(table) == quality
    assert abs(estimated_quality(changed) - quality) <= 1


@given(st.lists(st.integers(1, 65535), min_size=64, max_size=64))
def test_any_table_has_a_quality(table: list[int]) -> None:
    assert 1 <= estimated_quality(table) <= 100


def test_a_low_quality_with_entries_of_16_bits_is_found() -> None:
    base = Image.open(io.BytesIO(encoded(Image.new("L", (8, 8)), "JPEG", quality=50))).quantization[0]
    assert estimated_quality([entry * 10 for entry in base]) == 5  # 5000 / 5 is ten times the scale of 50


@pytest.mark.parametrize("name", ["4:4:4", "4:2:2", "4:2:0"])
def test_the_subsampling_that_was_asked_for_is_found(name: str) -> None:
    assert compression(encoded(picture(), "JPEG", subsampling=name)).chroma_subsampling == name


@pytest.mark.parametrize(
    ("factors", "name"),
    [
        ([(4, 1), (1, 1), (1, 1)], "4:1:1"),
        ([(1, 2), (1, 1), (1, 1)], "4:4:0"),
        ([(2, 2), (2, 1), (2, 1)], "4:4:0"),
        ([(2, 2), (2, 2), (2, 2)], "4:4:4"),
        ([(2, 2), (1, 2), (1, 1)], "2x2,1x2,1x1"),
        ([(3, 2), (2, 2), (2, 2)], "3x2,2x2,2x2"),
        ([(1, 1)] * 4, "1x1,1x1,1x1,1x1"),
        ([(2, 2)], "4:0:0"),
        ([(2, 2), (0, 1), (0, 1)], None),
        ([], None),
    ],
)
def test_sampling_factors_have_their_name_or_are_named_themselves(
    factors: list[tuple[int, int]], name: str | None
) -> None:
    assert subsampling_name(factors) == name


def test_progressive_and_grey_are_seen() -> None:
    assert compression(encoded(picture(), "JPEG", progressive=True)).progressive is True
    assert compression(encoded(picture(), "JPEG")).progressive is False
    assert compression(encoded(picture().convert("L"), "JPEG")).chroma_subsampling == "4:0:0"


def test_a_multi_picture_jpeg_of_a_camera_is_a_jpeg() -> None:
    content = encoded(picture(), "MPO", save_all=True, append_images=[picture()], quality=83)
    found = compression(content)
    assert (found.jpeg_quality, found.progressive) == (83, False)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_exif_and_colour_profiles_are_seen_in_every_format_that_has_them(kind: str) -> None:
    plain, full = (
        compression(encoded(picture(), kind)),
        compression(encoded(picture(), kind, exif=EXIF.tobytes(), icc_profile=PROFILE)),
    )
    assert (plain.has_exif, plain.has_icc) == (False, False)
    assert (full.has_exif, full.has_icc) == (True, True)
    if kind != "JPEG":
        assert (full.jpeg_quality, full.chroma_subsampling, full.progressive) == (None, None, None)


def test_exif_behind_the_pixels_of_a_png_is_seen() -> None:
    content = encoded(picture(), "PNG", exif=EXIF)
    start = content.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(content[start : start + 4], "big")
    moved = content[:start] + content[end:-12] + content[start:end] + content[-12:]
    assert moved.index(b"eXIf") > moved.index(b"IDAT")
    assert compression(moved).has_exif


def test_a_jpeg_in_a_tiff_is_no_jpeg(tmp_path: Path) -> None:
    with Image.open(io.BytesIO(encoded(picture(), "TIFF", compression="jpeg"))) as image:
        image.load()
        assert compression_of(image).jpeg_quality is None
