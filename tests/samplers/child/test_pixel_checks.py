import numpy as np
import pytest
from diffusers import DiffusionPipeline
from hypothesis import given
from hypothesis.extra import numpy as arrays

from samplers.child.failures import GeneratorError
from samplers.child.pixel_checks import check_pixels


@given(arrays.arrays(np.float32, (4, 5, 3), elements={"min_value": 0.0, "max_value": 1.0}))
def test_pixels_are_those_that_diffusers_would_give(picture: np.ndarray) -> None:

    verdict = check_pixels(picture)
    expected = np.asarray(DiffusionPipeline.numpy_to_pil(picture)[0])
    if isinstance(verdict, str):
        assert verdict == "blank"
        assert (expected == expected[0, 0]).all()
    else:
        assert (verdict == expected).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_not_finite_is_enough(value: float) -> None:
    picture = np.random.default_rng(0).random((8, 8, 3)).astype(np.float32)
    picture[3, 4, 1] = value
    assert check_pixels(picture) == "nan"


def test_one_colour_is_blank_and_almost_one_colour_is_not() -> None:
    picture = np.full((8, 8, 3), 0.5, np.float32)
    picture[..., 2] = 0.9
    assert check_pixels(picture) == "blank"
    picture[7, 7, 0] = 0.6
    assert not isinstance(check_pixels(picture), str)


def test_values_outside_do_not_wrap_around() -> None:
    pixels = check_pixels(np.array([[[-0.5], [1.5]], [[0.0], [0.5]]], np.float32))
    assert not isinstance(pixels, str)
    assert pixels.tolist() == [[0, 255], [0, 128]]


@pytest.mark.parametrize("shape", [(8, 8, 4), (8, 8, 2), (2, 8, 8, 3), (0, 8, 3), (8,)])
def test_an_array_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(GeneratorError, match="shape"):
        check_pixels(np.random.default_rng(0).random(shape))
