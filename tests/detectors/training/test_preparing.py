"""Training images are made in processes with limits, the same whichever makes them."""

import numpy as np
import pytest

from detectors.pixels.inputs import Input
from detectors.pixels.schemes import scheme
from detectors.training.preparing import Preparers, Wanted
from tests.detectors.training.worlds import pixels, world

SEES = Input(48, 56)


@pytest.fixture(scope="module")
def index():
    return world(generators=2, each=3, damaged=(4,))[0]


def test_images_are_those_of_this_process_for_any_number_of_processes(index):
    wanted = [Wanted(row, "rsa", seed) for row in (0, 7, 7) for seed in (1, 2)]
    augment = scheme("rsa", SEES)
    expected = [augment(pixels(0 if one.row < 6 else None, one.row), np.random.default_rng(one.seed)) for one in wanted]
    for processes in (1, 3):
        with Preparers(index, SEES, processes) as preparers:
            found = list(preparers.read(wanted))
        assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


def test_what_does_not_decode_is_named_and_nothing_else(index):
    index.unread.clear()
    with Preparers(index, SEES, 1) as preparers:
        found = list(preparers.read(Wanted(row, "none") for row in (3, 4, 5)))
    assert [image is None for image in found] == [False, True, False]
    assert set(index.unread) == {4}
    assert "image" in index.unread[4]
