import contextlib
import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from detectors.pixels.transforms import KINDS, ORIGINAL, Transform, parse, parse_all
from workspace.errors import UsageError


@pytest.fixture(scope="module")
def cat() -> np.ndarray:
    return data.chelsea()[40:168, 100:260]


def psnr(left: np.ndarray, right: np.ndarray) -> float:
    error = np.mean((left.astype(float) - right) ** 2)
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def test_texts_name_kinds_and_strengths():
    assert parse("jpeg=75,50") == [Transform("jpeg", 75.0), Transform("jpeg", 50.0)]
    assert [str(each) for each in parse("jpeg")] == ["jpeg=100", "jpeg=84", "jpeg=68", "jpeg=52", "jpeg=36"]
    assert len(parse("robustness")) == 30
    assert parse("none") == [ORIGINAL]
    assert parse_all(["blur=1", "blur=1,2"]) == [ORIGINAL, Transform("blur", 1.0), Transform("blur", 2.0)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("jpg=75", "unknown transform 'jpg'"),
        ("jpeg=101", "from 1 to 100"),
        ("jpeg=", "from 1 to 100"),
        ("jpeg=high", "a quality"),
        ("blur=nan", "a standard deviation"),
        ("none=1", "unknown transform"),
        ("", "unknown transform"),
    ],
)
def test_what_is_no_transform_is_refused_in_one_line(text, says):
    with pytest.raises(UsageError, match=says) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=20))
def test_no_text_is_more_than_refused(text):
    with contextlib.suppress(UsageError):
        assert parse(text)


@settings(max_examples=40)
@given(
    st.sampled_from([Transform(name, strength) for name, kind in KINDS.items() for strength in kind.usual]),
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(0, 2**32 - 1),
)
def test_images_of_every_size_pass_every_transform_and_stay_unchanged(transform, height, width, seed):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    before = image.copy()
    image.flags.writeable = False
    result = transform.apply(image)
    assert result.dtype == np.uint8
    if transform.name != "crop":
        assert result.shape == image.shape
    assert np.array_equal(result, transform.apply(np.asfortranarray(image)))
    assert np.array_equal(image, before)


@pytest.mark.parametrize("name", ["jpeg", "webp", "blur"])
def test_stronger_is_further_from_the_image(cat, name):
    quality = [psnr(cat, transform.apply(cat)) for transform in parse(name)]
    assert quality == sorted(quality, reverse=True)
    assert len(set(quality)) == len(quality)


def test_a_second_jpeg_is_one_of_the_usual_quality_of_the_first(cat):
    once, default = Transform("jpeg", 50.0).apply(cat), Transform("jpeg", 75.0)
    assert np.array_equal(Transform("double-jpeg", 50.0).apply(cat), default.apply(once))


def test_choices_by_chance_come_from_the_pixels_and_are_the_same_at_every_strength(cat):
    def side(image, degrees):
        """Which corners are black: the image was turned to the left or to the right, which a photograph shows less."""
        return np.abs(Transform("rotate", degrees).apply(image).astype(int) - turned(image, degrees)).mean() < 1

    def turned(image, degrees):
        height, width = image.shape[:2]
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
        return cv2.warpAffine(image, matrix, (width, height))

    pieces = [cat[offset : offset + 64, offset : offset + 64] for offset in range(0, 60, 3)]
    sides = [side(piece, 15.0) for piece in pieces]
    assert 3 < sum(sides) < 17
    assert sides == [side(piece, 60.0) for piece in pieces]


def test_pad_adds_black_at_both_ends_of_one_side_and_keeps_the_size():
    white = np.full((40, 60, 3), 255, dtype=np.uint8)
    padded = Transform("pad", 1.0).apply(white)
    assert padded.shape == white.shape
    rows, columns = padded[..., 0].mean(axis=1), padded[..., 0].mean(axis=0)
    line = rows if rows.min() == 0 else columns
    assert line[0] == line[-1] == 0
    assert line[len(line) // 2] == 255
    assert np.isclose((line > 127).mean(), 0.5, atol=0.03)


def test_resize_changes_both_sides_and_every_combination_occurs(cat):
    def as_the_study(image, widths, heights):
        height, width = image.shape[:2]
        other = Image.fromarray(image).resize((round(width * widths), round(height * heights)), Image.BILINEAR)
        return np.asarray(other.resize((width, height), Image.BILINEAR))

    found = set()
    for offset in range(24):
        piece = np.ascontiguousarray(cat[offset : offset + 50, offset : offset + 80])
        result = Transform("resize", 0.3).apply(piece)
        found |= {
            (widths, heights)
            for widths in (0.7, 1.3)
            for heights in (0.7, 1.3)
            if np.array_equal(result, as_the_study(piece, widths, heights))
        }
    assert len(found) == 4


def test_shear_by_no_angle_and_rotation_by_none_change_nothing(cat):
    for name in ("shear", "rotate"):
        assert np.array_equal(Transform(name, 0.0).apply(cat), cat)


def test_shear_moves_a_pixel_by_the_tangent_of_its_distance():
    image = np.zeros((65, 65, 3), dtype=np.uint8)
    image[32 - 10, 32 - 10] = 255
    place = np.argwhere(Transform("shear", 45.0).apply(image)[..., 0])[0] - 32
    assert sorted(np.abs(place).tolist()) in ([0, 10], [10, 20])


def test_crop_keeps_the_centre():
    image = np.zeros((40, 60, 3), dtype=np.uint8)
    image[10:30, 15:45] = 255
    assert np.array_equal(Transform("crop", 0.5).apply(image), np.full((20, 30, 3), 255, dtype=np.uint8))
