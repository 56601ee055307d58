"""Ranges hold what they promise, and a wrong estimate is outside of them."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplers.forecasting.device_speed import UNCERTAIN
from samplers.forecasting.pace import Measured, Pace, lognormal, pace_of, spread_of
from samplers.planning.cost import Cost

SECONDS = st.floats(1e-3, 1e6)


def _measured(load: float, sample: float, nominal: float = 1.0) -> Measured:
    return Measured(load=load * nominal, sample=sample * nominal, nominal_load=nominal, nominal_sample=nominal)


def test_loading_and_sampling_have_paces_of_their_own() -> None:
    """One batch is mostly loading, a whole generator is mostly sampling."""
    pace = pace_of([_measured(10.0, 0.5), _measured(10.0, 0.5, 3.0)])
    seconds = pace.seconds([(Cost(load=2.0, image=1.0), 400)])
    assert seconds.middle == pytest.approx(20 + 200)


def test_before_anything_is_measured_the_range_is_the_documented_factor() -> None:
    seconds = Pace(sample=2.0).seconds([(Cost(load=1.0, image=1.0), 10), (Cost(load=100.0, image=1.0), 0)])
    assert (seconds.low, seconds.middle, seconds.high) == pytest.approx((21 / UNCERTAIN, 21, 21 * UNCERTAIN))


@given(st.lists(st.tuples(SECONDS, SECONDS), min_size=1, max_size=6), st.integers(1, 500))
def test_more_generators_that_agree_make_the_range_narrower(pairs: list[tuple[float, float]], count: int) -> None:
    spread = spread_of(pairs)
    few, many = (lognormal([1.0] * number, spread, len(pairs)) for number in (count, 2 * count))
    assert few.low < few.middle < few.high
    assert many.high / many.middle < few.high / few.middle
    more = lognormal([1.0] * count, spread, 2 * len(pairs))
    assert more.high / more.middle < few.high / few.middle


def test_two_generators_that_agree_do_not_promise_precision() -> None:
    pace = pace_of([_measured(1.0, 1.0), _measured(1.0, 1.0)])
    seconds = pace.seconds([(Cost(load=0.0, image=1.0), 1)] * 100)
    assert seconds.high / seconds.middle > 1.3


def test_of_a_hundred_runs_eighty_end_within_the_range() -> None:
    """Simulated devices, whose generators differ by a log-normal factor, measured at three of fifty."""
    chance, inside, runs = random.Random(7), 0, 600
    for _ in range(runs):
        device = math.exp(chance.gauss(0, 2))
        costs = [chance.uniform(1, 20) for _ in range(50)]
        factors = [device * math.exp(chance.gauss(0, 0.5)) for _ in costs]
        places = sorted(range(50), key=costs.__getitem__)
        known = [_measured(factors[one], factors[one], costs[one]) for one in (places[0], places[25], places[49])]
        took = sum(factor * cost for factor, cost in zip(factors, costs, strict=True))
        seconds = pace_of(known).seconds((Cost(load=0.0, image=cost), 1) for cost in costs)
        inside += seconds.low < took < seconds.high
    assert 0.75 < inside / runs < 0.95


def test_nothing_left_takes_no_time() -> None:
    for pace in (Pace(), pace_of([_measured(1.0, 1.0)])):
        assert pace.seconds([]).high == 0
