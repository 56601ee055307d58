"""Validation: what a network says of images of generators that are held out of training."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.data.index import Index, Rows
from detectors.metrics.calibration import best_threshold, temperature, threshold_at
from detectors.metrics.definitions import Scored
from manifests.manifest import FAKE, REAL

#: The false positive rate of the second threshold of a detector.
FALSE_POSITIVE_RATE = 0.05


@dataclass(frozen=True)
class Validation:
    """Logits of validation images: those that could be read."""

    labels: npt.NDArray[np.int8]
    logits: npt.NDArray[np.float32]

    @property
    def auroc(self) -> float | None:
        """None where there are no images of both labels."""
        return _number(Scored(self.labels, self.logits).auroc())

    @property
    def accuracy(self) -> float | None:
        """Balanced accuracy at probability one half; None as `auroc`."""
        return _number(Scored(self.labels, self.logits).balanced_accuracy(0.0))

    def calibrated(self) -> dict[str, float | None]:
        """Thresholds and temperature, as model.json has them; null where there are no images of both labels."""
        return {
            "threshold": best_threshold(self.labels, self.logits),
            "threshold_fpr5": threshold_at(self.labels, self.logits, FALSE_POSITIVE_RATE),
            "temperature": temperature(self.labels, self.logits),
        }


def validation_rows(index: Index, rows: Rows, most: int, seed: int) -> Rows:
    """At most so many rows, half of them real as far as there are, in the order of the index."""
    random, chosen = np.random.default_rng(seed), []
    labels = index.labels[rows]
    for label in (REAL, FAKE):
        here = rows[labels == label]
        chosen.append(here if len(here) <= most // 2 else random.choice(here, most // 2, replace=False))
    return np.sort(np.concatenate(chosen))


def _number(values: Any) -> float | None:
    value = float(values[0])
    return None if np.isnan(value) else value
