"""Each operation against Pillow's, which the study's code uses: less than one grey level apart in the mean."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage import data

from detectors.pixels import operations
from tests.detectors.pixels import pillow_operations

#: Grey levels, of 256, in the mean over all pixels and channels.
CLOSE = 1.0


@pytest.fixture(scope="module")
def photograph():
    return np.ascontiguousarray(data.astronaut()[20:460, :500])


def apart(found, expected):
    expected = np.asarray(expected)
    assert found.shape == expected.shape
    assert found.dtype == np.uint8
    return np.abs(found.astype(int) - expected.astype(int)).mean()


@pytest.mark.parametrize("kernel", ["nearest", "bilinear", "bicubic", "lanczos", "hamming", "box"])
@pytest.mark.parametrize("size", [(384, 436), (472, 536), (430, 480), (220, 250), (310, 360), (100, 110), (1000, 1136)])
def test_resizing_is_pillow_s_of_the_same_kernel(photograph, kernel, size):
    expected = Image.fromarray(photograph).resize(size[::-1], getattr(Image.Resampling, kernel.upper()))
    difference = apart(operations.resize(photograph, size, kernel), expected)
    assert difference < CLOSE
    if kernel in ("nearest", "lanczos", "hamming", "box") or size == (100, 110):
        assert difference == 0


def test_another_kernel_is_further_away(photograph):
    """So the comparison tells kernels apart."""
    expected = Image.fromarray(photograph).resize((436, 384), Image.Resampling.LANCZOS)
    assert apart(operations.resize(photograph, (384, 436), "nearest"), expected) > CLOSE


@pytest.mark.parametrize("degrees", [-15, -3.3, 0, 7, 15])
def test_rotation(photograph, degrees):
    expected = pillow_operations.rotate(Image.fromarray(photograph), degrees)
    assert apart(operations.rotate(photograph, degrees), expected) < CLOSE


@pytest.mark.parametrize(("x", "y"), [(15, -15), (-8, 3), (0, 12), (15, 15), (0, 0)])
def test_shear(photograph, x, y):
    expected = pillow_operations.shear(Image.fromarray(photograph), x, y)
    assert apart(operations.shear(photograph, x, y), expected) < CLOSE


@pytest.mark.parametrize(("right", "down"), [(50, -44), (-17, 3), (0, 0)])
def test_translation(photograph, right, down):
    expected = pillow_operations.translate(Image.fromarray(photograph), right, down)
    assert apart(operations.translate(photograph, right, down), expected) == 0


@pytest.mark.parametrize("borders", [(25, 22, 25, 22), (3, 0, 0, 17), (0, 0, 0, 0)])
def test_padding_and_resizing_back(photograph, borders):
    expected = pillow_operations.pad_and_resize(Image.fromarray(photograph), borders, 90)
    assert apart(operations.pad_and_resize(photograph, borders, 90), expected) < CLOSE


@pytest.mark.parametrize("quality", [30, 75, 88, 100])
@pytest.mark.parametrize("encoder", ["pillow", "opencv"])
def test_jpeg(photograph, quality, encoder):
    difference = apart(
        operations.jpeg(photograph, quality, encoder), pillow_operations.jpeg(Image.fromarray(photograph), quality)
    )
    assert difference == 0 if encoder == "pillow" else difference < CLOSE


def test_cut_out_leaves_the_rest_and_the_given_image(photograph):
    before = photograph.copy()
    expected = pillow_operations.cut_out(Image.fromarray(photograph), 10, 20, 30, 40, 77)
    assert apart(operations.cut_out(photograph, 10, 20, 30, 40, 77), expected) == 0
    assert np.array_equal(photograph, before)


def test_flips_and_quarter_turns(photograph):
    image = Image.fromarray(photograph)
    assert apart(operations.mirror(photograph), image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == 0
    assert apart(operations.turn_over(photograph), image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)) == 0
    assert apart(operations.quarter_turns(photograph, 1), image.transpose(Image.Transpose.ROTATE_90)) == 0


@pytest.mark.parametrize("deviation", [0.05, 0.5, 1.7, 3.0])
def test_blur_is_scipy_s(photograph, deviation):
    expected = np.stack([ndimage.gaussian_filter(photograph[..., c].astype(float), deviation) for c in range(3)], -1)
    assert np.abs(operations.blur(photograph, deviation) - expected).mean() < 0.5


def test_grey_is_pillow_s(photograph):
    assert apart(operations.grey(photograph), Image.fromarray(photograph).convert("L").convert("RGB")) < 0.5
