"""Thresholds and calibration: from logits to decisions and probabilities.

As in `definitions`, both labels have the same total weight. A threshold is between two neighbouring logits,
never on one, so that it does not matter on which side equality is.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.metrics.definitions import Numbers, roc
from manifests.manifest import FAKE, REAL

#: Bins of the expected calibration error (Naeini et al. 2015), of equal weight (Nguyen and O'Connor 2015).
BINS = 15

#: Temperatures are searched between e**-5 and e**5. At a bound there is none that is best: classes are separated, or
#: logits tell nothing.
_LOG_TEMPERATURE, _BOUND = 5.0, 0.01

Labels = npt.NDArray[np.integer]
Logits = npt.NDArray[np.floating]


def best_threshold(labels: Labels, logits: Logits) -> float | None:
    """The threshold of the highest balanced accuracy, exact; of equal ones that nearest to 0 (probability one half).
    None without images of both classes."""
    thresholds, true, false = _rates(labels, logits)
    if thresholds is None:
        return None
    accuracy = (true + 1 - false) / 2
    best = thresholds[accuracy >= accuracy.max() - 1e-12]
    return float(best[np.argmin(np.abs(best))])


def threshold_at(labels: Labels, logits: Logits, false_positive_rate: float) -> float | None:
    """The lowest threshold whose false positive rate is at most that. None without images of both classes."""
    thresholds, _, false = _rates(labels, logits)
    return None if thresholds is None else float(thresholds[false <= false_positive_rate + 1e-9].min())


def _rates(labels: Labels, logits: Logits) -> tuple[Numbers | None, Numbers, Numbers]:
    """All thresholds that differ in their decisions, from high to low, with true and false positive rate."""
    if len(np.unique(labels)) < 2:
        return None, np.empty(0), np.empty(0)
    values = np.unique(logits.astype(np.float64))[::-1]
    between = (values[1:] + values[:-1]) / 2
    thresholds = np.concatenate([[values[0] + 1], between, [values[-1] - 1]])
    false, true = roc(labels, logits)
    return thresholds, true, false


def temperature(labels: Labels, logits: Logits) -> float | None:
    """The number by which logits are divided so that their probabilities have the lowest cross-entropy (Guo et al.
    2017). None without images of both classes, and where no number is best: classes that are separated, logits that
    tell nothing."""
    from scipy.optimize import minimize_scalar

    if len(np.unique(labels)) < 2:
        return None
    weights, signs = class_weights(labels), np.where(labels == FAKE, -1.0, 1.0)
    values = logits.astype(np.float64) * signs

    def cross_entropy(log_temperature: float) -> float:
        return float(weights @ np.logaddexp(0, values * math.exp(-log_temperature)))

    found = minimize_scalar(cross_entropy, bounds=(-_LOG_TEMPERATURE, _LOG_TEMPERATURE), method="bounded")
    return math.exp(found.x) if abs(found.x) < _LOG_TEMPERATURE - _BOUND else None


def class_weights(labels: Labels) -> Numbers:
    """The weight of each image, one half for each class together."""
    weights = np.zeros(len(labels))
    for label in (REAL, FAKE):
        here = labels == label
        if here.any():
            weights[here] = 0.5 / here.sum()
    return weights


def probabilities(logits: Logits) -> Numbers:
    """The logistic function of logits."""
    return np.exp(-np.logaddexp(0, -logits.astype(np.float64)))


@dataclass(frozen=True)
class Reliability:
    """Bins of images by their probability: the mean probability in each, the share that is generated, and the weight of
    the bin; shape (bins,). Empty without images of both classes."""

    confidence: Numbers
    generated: Numbers
    weight: Numbers

    @property
    def expected_error(self) -> float | None:
        """Expected calibration error: the mean distance of share and probability. None where there are no bins."""
        if not len(self.weight):
            return None
        return float(self.weight @ np.abs(self.generated - self.confidence))


def reliability(labels: Labels, logits: Logits, bins: int = BINS) -> Reliability:
    """The reliability curve. Images of one probability are in one bin, so bins may be fewer, and of unequal weight."""
    if len(np.unique(labels)) < 2:
        return Reliability(np.empty(0), np.empty(0), np.empty(0))
    chance, weights = probabilities(logits), class_weights(labels)
    place = np.unique(chance, return_inverse=True)[1]
    of_value = np.bincount(place, weights)
    middle = np.cumsum(of_value) - of_value / 2
    which = np.minimum((middle * bins).astype(int), bins - 1)[place]
    weight, confidence, generated = (
        np.bincount(which, weights * some, minlength=bins).astype(np.float64)
        for some in (np.ones(len(labels)), chance, labels == FAKE)
    )
    used = weight > 0
    return Reliability(confidence[used] / weight[used], generated[used] / weight[used], weight[used])


def brier(labels: Labels, logits: Logits) -> float | None:
    """Mean squared distance of probability and label (Brier 1950). None without images of both classes."""
    if len(np.unique(labels)) < 2:
        return None
    return float(class_weights(labels) @ (probabilities(logits) - (labels == FAKE)) ** 2)
