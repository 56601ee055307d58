"""From the nominal cost to seconds of a real device, with a range: what was measured, or what is known without.

A measured generator gives two ratios of measured to nominal seconds: of loading, and of sampling. Of several, each pace
is the ratio of the sums, so expensive generators count most. How far single generators are from these paces is taken as
log-normal. The standard deviation s of the logarithm is that of the measured ones together with `_PRIOR_COUNT` imagined
ones of `_PRIOR_SPREAD` (a conjugate prior; Gelman et al., Bayesian Data Analysis, section 3.3), so that one or two
measured generators that happen to agree do not promise precision. After n measured generators, the sum of the costs c
of others then lies in 80 of 100 cases within a factor of exp(t s sqrt(1/n + 1/N)), with Student's t, and with N =
(sum c)^2 / (sum c^2) as the number of generators that the sum rests on.

Before anything is measured the range is a factor (`device_speed.UNCERTAIN`).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from samplers.forecasting.device_speed import UNCERTAIN
from samplers.planning.cost import Cost

#: Standard deviation of log(measured / estimated) between generators on one device before it is known, from Stable
#: Diffusion 1.5 and XL on one GPU (`device_speed`), and how many measured generators this assumption counts for.
_PRIOR_SPREAD, _PRIOR_COUNT = 0.5, 2
#: Of 100 cases, so many are below the range, and as many above it.
_OUTSIDE = 0.1


@dataclass(frozen=True)
class Range:
    """An estimate, and the values that it lies between in 80 of 100 cases."""

    low: float
    middle: float
    high: float

    def __mul__(self, factor: float) -> "Range":
        return Range(self.low * factor, self.middle * factor, self.high * factor)

    def __add__(self, other: "Range") -> "Range":
        """Of two estimates whose errors may have one cause: ends are added to ends."""
        return Range(self.low + other.low, self.middle + other.middle, self.high + other.high)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one generator took, and the nominal cost of the same work."""

    load: float
    """Seconds."""
    sample: float
    """Seconds of all images: sampling, decoding and checking them."""
    nominal_load: float
    nominal_sample: float
    """Seconds of the nominal device (`cost`)."""


@dataclass(frozen=True)
class Pace:
    """Seconds of a device in a nominal one."""

    load: float = 1.0
    sample: float = 1.0
    spread: float | None = None
    """Standard deviation of log(measured / estimated) between generators; None: nothing is measured."""
    measured: int = 0
    """Generators that it rests on."""

    def seconds(self, work: Iterable[tuple[Cost, int]]) -> Range:
        """To load generators of these costs and sample so many images of each."""
        parts = [self.load * cost.load + self.sample * cost.image * images for cost, images in work if images]
        if self.spread is None:
            total = math.fsum(parts)
            return Range(total / UNCERTAIN, total, total * UNCERTAIN)
        return lognormal(parts, self.spread, self.measured)


def pace_of(measured: Sequence[Measured]) -> Pace:
    """The pace of the device that these generators were measured on, at least one."""
    load = ratio_of((one.load, one.nominal_load) for one in measured)
    sample = ratio_of((one.sample, one.nominal_sample) for one in measured)
    spread = spread_of(
        (one.load + one.sample, load * one.nominal_load + sample * one.nominal_sample) for one in measured
    )
    return Pace(load, sample, spread, len(measured))


def spread_of(pairs: Iterable[tuple[float, float]]) -> float:
    """Standard deviation of log(measured / estimated), with the prior."""
    logs = [math.log(measured / estimated) for measured, estimated in pairs if measured > 0 and estimated > 0]
    squares = _PRIOR_COUNT * _PRIOR_SPREAD**2 + sum(each**2 for each in logs)
    return math.sqrt(squares / (_PRIOR_COUNT + len(logs)))


def ratio_of(pairs: Iterable[tuple[float, float]]) -> float:
    """Measured in an estimated one, of pairs of both: the ratio of their sums; 1 where nothing was estimated."""
    measured, estimated = map(math.fsum, zip((0.0, 0.0), *pairs, strict=True))
    return measured / estimated if estimated > 0 else 1.0


def lognormal(parts: Sequence[float], spread: float, measured: int) -> Range:
    """The sum of these estimates, which rest on so many measured ones of that spread."""
    total = math.fsum(parts)
    if not total:
        return Range(0.0, 0.0, 0.0)
    rests_on = total**2 / math.fsum(part**2 for part in parts)
    factor = math.exp(_quantile(_PRIOR_COUNT + measured - 1) * spread * math.sqrt(1 / measured + 1 / rests_on))
    return Range(total / factor, total, total * factor)


def _quantile(freedom: int) -> float:
    """Student's t that is exceeded in `_OUTSIDE` of all cases (Abramowitz and Stegun, 26.7.5)."""
    z = NormalDist().inv_cdf(1 - _OUTSIDE)
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
