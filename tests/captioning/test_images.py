"""captioning/images.py: every file is measured as stored, or refused with a reason of the closed set."""

import contextlib
import hashlib
import io
import os
import socket
import struct
import zlib
from pathlib import Path

import datasets
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from captioning.images import MAX_PIXELS, UnusableImageError, read_image
from tests.captioning.odd_directory import odd_files
from tests.captioning.oddities import encoded, flipped, picture, png_of_size, rotated_by_exif
from tests.fuzzing import fuzzed

ODDITIES = odd_files()
CONTENTS = {
    name: encoded(picture(), name) for name in ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF"]
}


def refusal(path: Path) -> UnusableImageError:
    with pytest.raises(UnusableImageError) as raised:
        read_image(path)
    return raised.value


@pytest.mark.parametrize("name", ODDITIES)
def test_an_odd_file_is_measured_as_it_is_or_refused_with_the_right_reason(tmp_path: Path, name: str) -> None:
    oddity, path = ODDITIES[name], tmp_path / name
    path.write_bytes(oddity.content)
    if oddity.reason is not None:
        error = refusal(path)
        assert error.reason == oddity.reason
        assert "\n" not in error.detail
        assert str(tmp_path) not in error.detail
    else:
        facts, view = read_image(path)
        assert (facts.format, facts.width, facts.height) == oddity.facts
        assert facts.sha256 == hashlib.sha256(oddity.content).hexdigest()
        assert view.mode == "RGB"
    assert path.read_bytes() == oddity.content


def view_of(tmp_path: Path, content: bytes) -> np.ndarray:
    path = tmp_path / "image"
    path.write_bytes(content)
    return np.asarray(read_image(path)[1])


def test_a_rotated_photograph_is_upright_for_the_captioner(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 24), "black")
    image.paste("white", (0, 0, 20, 24))
    view = view_of(tmp_path, rotated_by_exif(image, 6))
    assert view.shape == (40, 24, 3)
    assert view[:16].mean() > 250
    assert view[24:].mean() < 5


def test_transparent_pixels_are_white_whatever_colour_lies_under_them(tmp_path: Path) -> None:
    assert (view_of(tmp_path, encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 0)), "PNG")) == 255).all()
    assert (view_of(tmp_path, encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 255)), "PNG")) == [255, 0, 0]).all()


def test_sixteen_bits_become_eight_without_clipping(tmp_path: Path) -> None:
    levels = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    view = view_of(tmp_path, encoded(Image.fromarray(levels), "PNG"))
    assert (view[..., 0] == np.arange(256).reshape(16, 16)).all()


def test_dark_sixteen_bits_stay_dark(tmp_path: Path) -> None:
    levels = np.array([[0, 257, 300, 514]], dtype=np.uint16)
    assert view_of(tmp_path, encoded(Image.fromarray(levels), "PNG"))[..., 0].tolist() == [[0, 1, 1, 2]]


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_values_without_a_fixed_range_are_scaled_from_the_least_to_the_greatest(tmp_path: Path, dtype: type) -> None:
    levels = np.array([[-1000, -800, 0, 1000]], dtype=dtype)
    # -800 lies at a tenth of the range: 25.5, which is rounded to even.
    assert view_of(tmp_path, encoded(Image.fromarray(levels), "TIFF"))[..., 0].tolist() == [[0, 26, 128, 255]]
    assert view_of(tmp_path, encoded(Image.fromarray(np.full((1, 2), 7, dtype)), "TIFF")).tolist() == [[[0] * 3] * 2]


def test_a_float_that_is_not_a_number_changes_no_other_pixel(tmp_path: Path) -> None:
    levels = np.array([[np.nan, np.inf, -np.inf, 2.0, 1.0]], dtype=np.float32)
    assert view_of(tmp_path, encoded(Image.fromarray(levels), "TIFF"))[..., 0].tolist() == [[0, 0, 0, 255, 128]]


def test_a_decompression_bomb_is_refused_whatever_limit_pillow_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    (tmp_path / "bomb.png").write_bytes(png_of_size(MAX_PIXELS // 1000 + 1, 1000))
    assert refusal(tmp_path / "bomb.png").reason == "too-large"
    (tmp_path / "limit.png").write_bytes(png_of_size(MAX_PIXELS // 1000, 1000))
    assert refusal(tmp_path / "limit.png").reason == "broken"  # its pixels are missing, but their number is accepted


def test_an_animation_is_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")]
    for format in ("GIF", "WEBP", "PNG", "TIFF"):
        content = encoded(frames[0], format, save_all=True, append_images=frames[1:])
        assert (view_of(tmp_path, content).mean(axis=(0, 1)).argmax()) == 0


def test_pipes_folders_and_sockets_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert refusal(tmp_path / "pipe.png").reason == "not-a-file"
    (tmp_path / "folder.png").mkdir()
    assert refusal(tmp_path / "folder.png").reason == "not-a-file"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s.png"))
        assert refusal(tmp_path / "s.png").reason == "not-a-file"


def test_links_are_followed_and_dangling_ones_are_missing(tmp_path: Path) -> None:
    (tmp_path / "real.png").write_bytes(encoded(picture(), "PNG"))
    (tmp_path / "link.png").symlink_to("real.png")
    assert read_image(tmp_path / "link.png")[0] == read_image(tmp_path / "real.png")[0]
    (tmp_path / "dangling.png").symlink_to("gone.png")
    assert (refusal(tmp_path / "dangling.png").reason, refusal(tmp_path / "dangling.png").detail) == (
        "missing",
        "a link whose target does not exist",
    )
    (tmp_path / "self.png").symlink_to("self.png")
    assert refusal(tmp_path / "self.png").reason == "missing"
    assert refusal(tmp_path / "absent.png").reason == "missing"


def test_a_file_without_permission_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(encoded(picture(), "PNG"))
    path.chmod(0)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    user = os.geteuid()
    if user == 0:  # root may read anything
        os.seteuid(65534)
    try:
        error = refusal(path)
    finally:
        os.seteuid(user)
    assert (error.reason, error.detail) == ("unreadable", "Permission denied")


@fuzzed(60)
@given(
    st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF"]),
    st.lists(st.floats(0, 1), max_size=6),
    st.floats(0, 1),
)
def test_no_damaged_file_raises_anything_else(tmp_path: Path, format: str, flips: list[float], length: float) -> None:
    content = CONTENTS[format]
    for position in flips:
        content = flipped(content, int(position * (len(content) - 1)))
    path = tmp_path / "damaged"
    path.write_bytes(content[: int(length * len(content))] or b"\x00")
    try:
        facts, view = read_image(path)
    except UnusableImageError:
        return
    assert facts.width > 0
    assert view.mode == "RGB"


def test_pixels_and_hash_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(picture(), "PNG"))
    facts, view = read_image(path)
    assert (np.asarray(view) == np.asarray(Image.open(io.BytesIO(path.read_bytes())))).all()
    assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def segment(kind: int, data: bytes) -> bytes:
    return b"\xff" + bytes([kind]) + struct.pack(">H", len(data) + 2) + data


def with_exif(*entries: bytes) -> bytes:
    """A JPEG with these entries of EXIF, of twelve bytes each."""
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return CONTENTS["JPEG"][:2] + segment(0xE1, exif) + CONTENTS["JPEG"][2:]


def with_chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG with this chunk behind its header."""
    png = encoded(picture(), "PNG")
    return png[:33] + struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) + png[33:]


TURNED = struct.pack("<HHII", 0x0112, 3, 1, 6)
XMP = b"XML:com.adobe.xmp\0"
METADATA = {
    "a negative number where none may be": with_exif(TURNED, struct.pack("<HHIi", 0x0100, 9, 1, -5)),
    "not a number": with_exif(TURNED, struct.pack("<HHIf", 0x011A, 11, 1, float("nan"))),
    "an eXIf chunk that is no TIFF": with_chunk(b"eXIf", b"Exif\0\0II*"),
    "a raw profile that is cut": with_chunk(b"tEXt", b"Raw profile type exif\0\nexif\n      20\n45786966 0000 ??\n"),
    "XMP that is not UTF-8": CONTENTS["JPEG"][:2]
    + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<a>\xa8\xa8</a>")
    + CONTENTS["JPEG"][2:],
    "a header of EXIF and nothing else": CONTENTS["JPEG"][:2] + segment(0xE1, b"Exif\0\0") + CONTENTS["JPEG"][2:],
    "XMP of 5 MB": with_chunk(b"iTXt", XMP + bytes(4) + b"<x>" + b"a" * 5_000_000 + b"</x>"),
    "a profile of 900 kB": with_chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(900_000))),
    "a profile of 3 MB": with_chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(3_000_000))),
    "compressed XMP of 5 MB": with_chunk(b"iTXt", XMP + b"\1\0\0\0" + zlib.compress(b"a" * 5_000_000)),
}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("kind", METADATA)
def test_what_stops_the_readers_of_a_published_dataset_is_skipped_and_nothing_else(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(METADATA[kind])
    try:
        datasets.Image().decode_example({"path": None, "bytes": METADATA[kind]})
        if kind == "XMP that is not UTF-8":
            raise UnicodeError("with Pillow 11 it stops them")
    except Exception:
        assert refusal(path).reason == "metadata"
    else:
        assert read_image(path)[0].width > 0


def test_of_these_metadata_some_stop_readers_and_some_do_not(tmp_path: Path) -> None:
    found = set()
    for content in METADATA.values():
        (tmp_path / "a").write_bytes(content)
        with contextlib.suppress(UnusableImageError):
            read_image(tmp_path / "a")
            found.add(content)
    assert {kind for kind, content in METADATA.items() if content in found} == {
        "a header of EXIF and nothing else",
        "XMP of 5 MB",
        "a profile of 900 kB",
    }
