"""How well judgements tell real from generated images, with an interval.

AUROC is the probability that a generated image is judged more likely generated than a real one (equal judgements count
half); balanced accuracy is the mean share of each class that is judged right. Both are taken within each fold, whose
judgements are of the same trees, and averaged over the folds. 0.5 is chance. The interval is a bootstrap over what was
held out together, generators and real images: 95 % of its repetitions are inside.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from manifests.audit.trees import FOLDS, Labels
from manifests.manifest import FAKE

#: Repetitions of the bootstrap: the bounds of the interval then vary by about a tenth of its width.
REPETITIONS = 200
_BOUNDS = (2.5, 97.5)
#: Decimals of a result. Further ones depend on the machine.
_DECIMALS = 3

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """How well one fact, or several together, tell real from generated images."""

    name: str
    auroc: float
    auroc_low: float
    auroc_high: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float


def score(
    name: str, judgements: Numbers, labels: Labels, groups: Sequence[str], folds: npt.NDArray[np.int64]
) -> Score | None:
    """The score of judgements; None where no fold has images of both classes."""
    chance = np.random.default_rng(0)
    _, members = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    repeated: list[Numbers] = []
    for fold in range(FOLDS):
        held = folds == fold
        if len(np.unique(labels[held])) < 2:
            continue
        _, group = np.unique(members[held], return_inverse=True)
        generated = labels[held] == FAKE
        judge = _Fold(judgements[held], generated)
        of_generated = np.unique(group[generated])
        of_real = np.setdiff1d(np.unique(group), of_generated)
        rows = [judge.scores(np.ones(len(group)))]
        for _ in range(REPETITIONS):
            drawn = np.zeros(group.max() + 1)
            for kind in (of_generated, of_real):
                if len(kind):
                    drawn += np.bincount(chance.choice(kind, len(kind)), minlength=len(drawn))
            rows.append(judge.scores(drawn[group]))
        repeated.append(np.array(rows))
    if not repeated:
        return None
    means = np.nanmean(np.array(repeated), axis=0)
    low, high = np.nanpercentile(means[1:], _BOUNDS, axis=0)
    rounded = [round(float(number), _DECIMALS) for number in (*means[0], *low, *high)]
    auroc, accuracy, auroc_low, accuracy_low, auroc_high, accuracy_high = rounded
    return Score(name, auroc, auroc_low, auroc_high, accuracy, accuracy_low, accuracy_high)


class _Fold:
    """The judgements of a fold, sorted once."""

    def __init__(self, judgements: Numbers, generated: npt.NDArray[np.bool_]) -> None:
        # Rounded, because equal judgements may differ in their last digits.
        _, self._place = np.unique(np.round(judgements, 9), return_inverse=True)
        self._generated, self._right = generated, (judgements > 0.5) == generated
        # A judgement of exactly 0.5 is right half of the time.
        self._right = np.where(judgements == 0.5, 0.5, self._right)

    def scores(self, weights: Numbers) -> tuple[float, float]:
        """AUROC and balanced accuracy of images that count so often; NaN where a class has none."""
        counts = [np.bincount(self._place, np.where(self._generated == kind, weights, 0.0)) for kind in (True, False)]
        (generated, real), (all_generated, all_real) = counts, (counts[0].sum(), counts[1].sum())
        if not (all_generated and all_real):
            return np.nan, np.nan
        below = np.cumsum(real) - real
        auroc = float((generated * (below + real / 2)).sum() / (all_generated * all_real))
        right = weights * self._right
        accuracy = right[self._generated].sum() / all_generated + right[~self._generated].sum() / all_real
        return auroc, float(accuracy / 2)
