"""Metrics: functions of labels and logits, in which generated and real images have the same total weight.

Average precision and calibration depend on how many of the images are generated; here that is one half, whatever the
numbers are. Every function is of many weightings of the same images at once, because a bootstrap needs that, and equal
logits are one threshold. What is not defined, because there is no image of a class, is NaN, and is null where it is
written. Definitions are those of scikit-learn (`average_precision_score`, `roc_auc_score`, `roc_curve`,
`balanced_accuracy_score`) with weights that give each class one half; tests compare them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt

from manifests.manifest import FAKE, REAL

Numbers = npt.NDArray[np.float64]

#: False positive rates at which the true positive rate is given.
RATES = (0.01, 0.05)

#: Rates are sums of fractions: what exceeds a bound by less than this does not exceed it.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Scored:
    """Images with their logits, and how often each counts.

    `labels`: 1 generated, 0 real; `logits`: finite; both of shape (images,). `counts`: whole numbers of shape
    (weightings, images); None: each image once.
    """

    labels: npt.NDArray[np.integer]
    logits: npt.NDArray[np.floating]
    counts: npt.NDArray[np.integer] | None = None

    @cached_property
    def _thresholds(self) -> tuple[Numbers, npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """The different logits from above, with the other sign; the order of the images by them; and the place in this
        order at which the images of each begin."""
        values, place = np.unique(-self.logits.astype(np.float64), return_inverse=True)
        order = np.argsort(place, kind="stable")
        return values, order, np.searchsorted(place[order], np.arange(len(values)))

    @cached_property
    def _rates(self) -> tuple[Numbers, Numbers]:
        """True and false positive rate at each threshold from above all logits to below all: shape (weightings, 1 +
        different logits). NaN where a class has no image."""
        _, order, starts = self._thresholds
        counts = np.ones((1, len(order)), np.int64) if self.counts is None else self.counts[:, order]
        rates = []
        for label in (FAKE, REAL):
            here = counts * (self.labels == label)[order]
            if len(starts) < len(order):  # equal logits are one threshold
                here = np.add.reduceat(here, starts, axis=1)
            summed = np.concatenate([np.zeros((len(counts), 1), np.int64), np.cumsum(here, axis=1)], axis=1)
            with np.errstate(invalid="ignore"):
                rates.append(summed / np.where(summed[:, -1:] > 0, summed[:, -1:], np.nan))
        return rates[0], rates[1]

    def average_precision(self) -> Numbers:
        """AP at prevalence one half: the sum of the precisions at all thresholds, each weighted with the rise of the
        recall there; no interpolation. Shape (weightings,)."""
        true, false = self._rates
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = np.where(true + false > 0, true / (true + false), 0.0)
            return np.asarray((np.diff(true, axis=1) * precision[:, 1:]).sum(axis=1) + 0 * false[:, -1])

    def auroc(self) -> Numbers:
        """The probability that a generated image has a larger logit than a real one, equal ones counting half. Shape
        (weightings,)."""
        true, false = self._rates
        return np.asarray((np.diff(false, axis=1) * (true[:, 1:] + true[:, :-1]) / 2).sum(axis=1) + 0 * true[:, -1])

    def true_positive_rate(self, false_positive_rate: float) -> Numbers:
        """The largest true positive rate of a threshold whose false positive rate is at most that; no interpolation.
        Shape (weightings,)."""
        true, false = self._rates
        with np.errstate(invalid="ignore"):
            reached = np.where(false <= false_positive_rate + _ROUNDING, true, 0.0)
        return np.asarray(reached.max(axis=1) + 0 * true[:, -1] + 0 * false[:, -1])

    def recall(self, label: int, threshold: float) -> Numbers:
        """The share of the images of a class that are judged right: generated where the logit is above the threshold.
        Shape (weightings,)."""
        true, false = self._rates
        above = np.searchsorted(self._thresholds[0], -threshold)
        # A copy, which does not keep all rates in memory.
        return true[:, above].copy() if label == FAKE else np.asarray(1 - false[:, above])

    def balanced_accuracy(self, threshold: float) -> Numbers:
        """The mean of the two recalls. Shape (weightings,)."""
        return (self.recall(FAKE, threshold) + self.recall(REAL, threshold)) / 2


Metric = Callable[[Scored], Numbers]

#: Metrics of the order of the logits.
RANKING: dict[str, Metric] = {
    "AP": Scored.average_precision,
    "AUROC": Scored.auroc,
    **{f"TPR at {rate:.0%} FPR": partial(Scored.true_positive_rate, false_positive_rate=rate) for rate in RATES},
}

#: Metrics at a threshold: each a function of it.
AT_THRESHOLD: dict[str, Callable[[float], Metric]] = {
    "balanced accuracy": lambda threshold: lambda scored: scored.balanced_accuracy(threshold),
    "accuracy of real": lambda threshold: lambda scored: scored.recall(REAL, threshold),
    "accuracy of generated": lambda threshold: lambda scored: scored.recall(FAKE, threshold),
}


def roc(labels: npt.NDArray[np.integer], logits: npt.NDArray[np.floating]) -> tuple[Numbers, Numbers]:
    """False and true positive rate at each threshold, from (0, 0) to (1, 1); NaN where a class has no image."""
    true, false = Scored(labels, logits)._rates
    return false[0], true[0]
