"""What the schemes draw: the study's counts and ranges, always the same for one seed."""

import math
from collections import Counter

import numpy as np
import pytest
from skimage import data

from detectors.pixels import schemes
from detectors.pixels.inputs import Input
from detectors.pixels.schemes import OPERATIONS, rsa, scheme

SEES = Input(96, 110)
NAMES = ("rsa", "ufd", "soft", "flip", "crop", "none")


@pytest.fixture(scope="module")
def photograph():
    return np.ascontiguousarray(data.astronaut()[::3, ::4])


def random(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", NAMES)
def test_one_seed_gives_one_image_of_the_crop_s_size(photograph, name):
    augment = scheme(name, SEES)
    before = photograph.copy()
    first, again = (augment(photograph, random(5)) for _ in range(2))
    assert first.shape == (96, 96, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert np.array_equal(photograph, before)


@pytest.mark.parametrize("name", NAMES[:-1])
def test_other_seeds_give_other_images(photograph, name):
    augment = scheme(name, SEES)
    images = {augment(photograph, random(seed)).tobytes() for seed in range(12)}
    assert len(images) == 12


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 1), (300, 40), (97, 96), (40, 700)])
@pytest.mark.parametrize("sees", [Input(96), Input(96, 110)])
def test_images_of_any_size_fill_the_crop(name, shape, sees):
    image = np.full((*shape, 3), 200, np.uint8)
    augment = scheme(name, sees)
    for seed in range(5):
        assert augment(image, random(seed)).shape == (96, 96, 3)


@pytest.fixture
def recorded(monkeypatch):
    """Calls of `rsa` for 3,000 images, each a list of the operations' numbers, in the order in which they came."""
    calls = []

    def recording(number):
        def operation(image, random, side):
            calls[-1].append(number)
            return image

        return operation

    monkeypatch.setattr(schemes, "OPERATIONS", tuple(map(recording, range(len(OPERATIONS)))))
    for seed in range(3000):
        calls.append([])
        rsa(np.zeros((100, 100, 3), np.uint8), random(seed), 96)
    return calls


def test_each_operation_comes_none_one_or_two_times_alike(recorded):
    for number in range(11):
        counts = Counter(call.count(number) for call in recorded)
        assert set(counts) == {0, 1, 2}
        # 1,000 of each are expected; five standard deviations of that are 129.
        assert all(abs(count - 1000) < 129 for count in counts.values())


def test_counts_of_two_operations_are_independent(recorded):
    pairs = Counter((call.count(0), call.count(7)) for call in recorded)
    assert len(pairs) == 9
    assert all(abs(count - 3000 / 9) < 86 for count in pairs.values())


def test_the_order_is_random(recorded):
    """Of an image with both, each comes first alike often."""
    both = [call for call in recorded if call.count(2) == call.count(9) == 1]
    first = sum(call.index(2) < call.index(9) for call in both)
    assert abs(first - len(both) / 2) < 5 * math.sqrt(len(both)) / 2


@pytest.fixture
def parameters(monkeypatch):
    """What `operations` are called with, by name, when an operation of `rsa` is applied to 400 images."""

    def collect(number, name):
        found = []
        monkeypatch.setattr(schemes.operations, name, lambda image, *given: (found.append(given), image)[1])
        for seed in range(400):
            OPERATIONS[number](np.zeros((110, 120, 3), np.uint8), random(seed), 96)
        return found

    return collect


def spans(values, low, high):
    """Whether values fill a range: uniform ones come within 3 % of both ends."""
    margin = (high - low) * 0.03
    return low <= min(values) <= low + margin and high - margin <= max(values) <= high


def test_jpeg_has_quality_75_to_100_by_either_encoder(parameters):
    found = parameters(0, "jpeg")
    assert spans([quality for quality, _ in found], 75, 100)
    assert abs(Counter(encoder for _, encoder in found)["pillow"] - 200) < 50


def test_resizing_is_to_a_shorter_side_above_the_crop(parameters):
    found = parameters(1, "resize")
    assert {min(size) for size, _ in found} == set(range(97, 119))  # 1.228 x 96 is 117.9
    assert abs(Counter(kernel for _, kernel in found)["bilinear"] - 200) < 50


def test_flips_are_of_half_of_the_images(parameters):
    assert abs(len(parameters(3, "mirror")) - 200) < 50
    assert abs(len(parameters(4, "turn_over")) - 200) < 50


def test_a_resized_crop_has_the_crop_s_shorter_side_and_any_of_six_kernels(parameters):
    found = parameters(5, "resize")
    assert {min(size) for size, _ in found} == {96}
    assert any(size[0] != size[1] for size, _ in found)
    assert set(Counter(kernel for _, kernel in found)) == {
        "nearest",
        "bilinear",
        "bicubic",
        "lanczos",
        "hamming",
        "box",
    }
    assert min(Counter(kernel for _, kernel in found).values()) > 35
    parts = parameters(5, "crop")
    shares = [height * width / (110 * 120) for _, _, height, width in parts]
    assert 0.88 < min(shares) < 0.92
    assert max(shares) <= 1


def test_angles_shifts_and_borders_are_the_study_s(parameters):
    assert spans([degrees for (degrees,) in parameters(6, "rotate")], -15, 15)
    shifts = parameters(7, "translate")
    assert spans([right for right, _ in shifts], -12, 12)
    assert spans([down for _, down in shifts], -11, 11)
    shears = parameters(8, "shear")
    assert spans([x for x, _ in shears], -15, 15)
    assert spans([y for _, y in shears], -15, 15)
    borders = [border for given, _ in parameters(9, "pad_and_resize") for border in given]
    assert (min(borders), max(borders)) == (0, 5)


def test_a_cut_out_is_of_half_of_the_images_and_two_to_six_hundredths(parameters):
    found = parameters(10, "cut_out")
    assert abs(len(found) - 200) < 50
    shares = [height * width / (110 * 120) for _, _, height, width, _ in found]
    assert 0.018 < min(shares) < 0.024
    assert 0.056 < max(shares) < 0.062
    ratios = [height / width for _, _, height, width, _ in found]
    assert 0.28 < min(ratios) < 0.36
    assert 2.7 < max(ratios) < 3.5
    assert spans([grey for *_, grey in found], 0, 255)


@pytest.mark.parametrize("probability", [0.1, 0.5])
def test_ufd_blurs_and_compresses_with_its_probability(monkeypatch, probability):
    found = []
    for name in ("blur", "jpeg"):
        monkeypatch.setattr(schemes.operations, name, lambda image, *_, name=name: (found.append(name), image)[1])
    augment = scheme("ufd", SEES, probability)
    for seed in range(500):
        augment(np.zeros((110, 110, 3), np.uint8), random(seed))
    assert all(abs(found.count(name) - 500 * probability) < 55 for name in ("blur", "jpeg"))
