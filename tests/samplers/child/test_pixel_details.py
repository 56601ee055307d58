"""Pixels are bytes, whatever the pipeline gives."""

import numpy as np
import pytest

from samplers.child.pixel_checks import check_pixels


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_pixels_are_bytes_of_one_or_three_channels(dtype: type, channels: tuple[int, ...]) -> None:
    picture = np.linspace(0, 255 if dtype is np.uint8 else 1, 4 * 5 * (*channels, 1)[0]).astype(dtype)
    pixels = check_pixels(picture.reshape(4, 5, *channels))
    assert not isinstance(pixels, str)
    assert pixels.dtype == np.uint8
    assert pixels.shape == ((4, 5, 3) if channels == (3,) else (4, 5))
    assert (pixels.min(), pixels.max()) == (0, 255)
