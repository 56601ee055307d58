"""Intervals of means are those of the bootstrap, however many repetitions are computed at a time."""

import numpy as np
import pytest

from detectors.metrics import measuring
from detectors.metrics.measuring import REPETITIONS, GeneratorValues, Measure, summary
from workspace.identity import seed_of


@pytest.mark.parametrize("at_a_time", [measuring._DRAWN_AT_A_TIME, 7, 1])
def test_an_interval_is_that_of_the_repetitions_one_by_one(at_a_time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "_DRAWN_AT_A_TIME", at_a_time)
    measure, values = Measure("AP"), np.random.default_rng(1).random((3, 200)).astype(np.float32)
    generators = [
        GeneratorValues(f"g{number}", "GAN", "d", 5, 5, {measure: 0.5}, {measure: repeated})
        for number, repeated in enumerate(values)
    ]
    (mean,) = (value for value in summary(generators) if value.scope == "mean over generators")
    chance = np.random.default_rng(seed_of("bootstrap", "mean over generators", ""))
    generator, repetition = (chance.integers(0, most, (REPETITIONS, 3)) for most in (3, 200))
    means = [float(values[of, at].astype(np.float64).mean()) for of, at in zip(generator, repetition, strict=True)]
    assert (mean.lower, mean.upper) == tuple(np.quantile(means, (0.025, 0.975)))
