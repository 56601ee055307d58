"""Learning rates: a linear rise, a cosine, a fall after validations that are no better."""

import math

import pytest

from detectors.training.schedules import Schedule


def test_the_study_s_schedule():
    """Linear over the first fifth, then a cosine to a thousandth."""
    schedule = Schedule("cosine", 2e-5, 1000, 0.2, 0.001)
    rates = [schedule.rate(step) for step in range(1000)]
    assert rates[0] == pytest.approx(2e-5 / 200)
    assert rates[199] == rates[200] == max(rates) == pytest.approx(2e-5)
    assert rates[-1] == pytest.approx(2e-8)
    middle = 200 + 799 // 2
    assert rates[middle] == pytest.approx(2e-5 * (0.001 + 0.999 * (1 + math.cos(math.pi * 399 / 799)) / 2))
    assert not schedule.is_over


def test_a_constant_rate_stays():
    schedule = Schedule("constant", 1e-4, 10)
    assert {schedule.rate(step) for step in range(10)} == {1e-4}


def test_five_validations_that_are_no_better_divide_the_rate_by_ten_until_the_run_ends():
    schedule = Schedule("plateau", 1e-4, 100)
    schedule.validated(0.9)
    for _ in range(4):
        schedule.validated(0.9)
    assert schedule.rate(50) == 1e-4
    schedule.validated(0.89)
    assert schedule.rate(50) == pytest.approx(1e-5)
    schedule.validated(0.91)
    for _ in range(5):
        schedule.validated(None)
    assert schedule.rate(50) == pytest.approx(1e-5)
    for _ in range(10):
        schedule.validated(0.5)
    assert schedule.is_over


def test_the_state_is_restored():
    schedule = Schedule("plateau", 1e-4, 100)
    assert Schedule("plateau", 1e-4, 100).state() == schedule.state()
    for score in (0.9, 0.8, 0.8, 0.7):
        schedule.validated(score)
    other = Schedule("plateau", 1e-4, 100)
    other.restore(schedule.state())
    assert other == schedule
