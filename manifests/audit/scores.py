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


class Repetitions:
    """How often each image counts in each repetition of the bootstrap: the same for all facts of the same images.

    The first row of a fold is the images as they are; the others have generators and real images drawn by chance, with
    repetition, the same ones every time.
    """

    def __init__(self, labels: Labels, groups: Sequence[str], folds: npt.NDArray[np.int64]) -> None:
        chance = np.random.default_rng(0)
        _, members = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
        self.folds: list[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], Numbers]] = []
        """Of each fold with images of both classes: which images it has, which of these are generated, and how often
        they count: float64 of shape (1 + REPETITIONS, images)."""
        for fold in range(FOLDS):
            held = folds == fold
            if len(np.unique(labels[held])) < 2:
                continue
            _, group = np.unique(members[held], return_inverse=True)
            generated = labels[held] == FAKE
            of_generated = np.unique(group[generated])
            of_real = np.setdiff1d(np.unique(group), of_generated)
            drawn = np.zeros((1 + REPETITIONS, group.max() + 1))
            drawn[0] = 1
            for row in drawn[1:]:
                for kind in (of_generated, of_real):
                    if len(kind):
                        row += np.bincount(chance.choice(kind, len(kind)), minlength=len(row))
            self.folds.append((held, generated, drawn[:, group]))


def score(name: str, judgements: Numbers, repetitions: Repetitions) -> Score | None:
    """The score of judgements; None where no fold has images of both classes."""
    repeated = [_Fold(judgements[held], generated).scores(weights) for held, generated, weights in repetitions.folds]
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
        _, place = np.unique(np.round(judgements, 9), return_inverse=True)
        self._order = np.argsort(place, kind="stable")
        self._starts = np.flatnonzero(np.diff(place[self._order], prepend=-1))
        self._generated = generated
        # A judgement of exactly 0.5 is right half of the time.
        self._right = np.where(judgements == 0.5, 0.5, (judgements > 0.5) == generated)

    def scores(self, weights: Numbers) -> Numbers:
        """AUROC and balanced accuracy of images that count so often, shape (repetitions, 2); NaN where a class has
        none. `weights`: whole numbers of shape (repetitions, images), so every sum is exact in any order."""
        generated, real = (
            np.add.reduceat((weights * (self._generated == kind))[:, self._order], self._starts, axis=1)
            for kind in (True, False)
        )
        all_generated, all_real = generated.sum(axis=1), real.sum(axis=1)
        below = np.cumsum(real, axis=1) - real
        right = weights * self._right
        of_generated, of_real = right[:, self._generated].sum(axis=1), right[:, ~self._generated].sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            auroc = (generated * (below + real / 2)).sum(axis=1) / (all_generated * all_real)
            accuracy = (of_generated / all_generated + of_real / all_real) / 2
        empty = (all_generated == 0) | (all_real == 0)
        return np.where(empty[:, None], np.nan, np.column_stack([auroc, accuracy]))
