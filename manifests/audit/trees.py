"""Boosted trees that tell real from generated images by a few numbers, each image judged by trees that saw neither its
generator nor the image itself.

Classes have equal weight in training, so their numbers do not matter. The trees are small (100 of depth 3, as gradient
boosting's usual defaults for tables of a few columns), because a shortcut that matters is a simple one.
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from manifests.manifest import FAKE, REAL
from workspace.identity import seed_of

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

#: Folds: each image is judged once, by trees of four fifths of the generators and of the real images.
FOLDS = 5

_TREES, _DEPTH, _LEAF, _RATE = 100, 3, 2, 0.1

#: Different values of a number that are told apart; the trees allow 255.
_BINS = 250

Labels = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]


def folds_of(groups: Sequence[str], labels: Labels) -> npt.NDArray[np.int64]:
    """The fold of each image, from 0: images of a group share one. Groups are dealt out in an order by chance that is
    always the same, those of generated images apart from those of real ones only, so that every fold has both."""
    generated = {group for group, label in zip(groups, labels, strict=True) if label == FAKE}
    fold: dict[str, int] = {}
    for members in (generated, set(groups) - generated):
        ordered = sorted(members, key=lambda group: seed_of("audit", group))
        fold.update((group, number % FOLDS) for number, group in enumerate(ordered))
    return np.array([fold[group] for group in groups], np.int64)


def _binned(column: Scores) -> Scores:
    """Numbers as their places among `_BINS` quantiles where there are more different ones, NaN as it is.

    The trees use no more bins; to find those with weights takes them longer than all the rest.
    """
    known = column[~np.isnan(column)]
    if len(np.unique(known)) <= _BINS:
        return column
    bounds = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1]))
    return np.where(np.isnan(column), np.nan, np.searchsorted(bounds, column, side="right"))


def judged(values: Scores, texts: Sequence[bool], labels: Labels, folds: npt.NDArray[np.int64]) -> Scores:
    """For each image how likely it is generated, by trees trained on the other folds.

    `values`: float64 of shape (images, columns), NaN where unknown; `texts`: which columns are names. Images of a fold
    without both classes in its training set are 0.5.
    """
    result = np.full(len(labels), 0.5)
    differing = [column for column in range(values.shape[1]) if len(np.unique(values[:, column])) > 1]
    if not differing:
        return result
    names = [texts[column] for column in differing]
    values = np.column_stack([_binned(values[:, column]) for column in differing])
    for fold in range(FOLDS):
        held, seen = folds == fold, folds != fold
        if held.any() and len(np.unique(labels[seen])) == 2:
            result[held] = Trees(values[seen], names, labels[seen]).chances(values[held])
    return result


@cache
def _threads() -> "ThreadpoolController":
    """The threads of the libraries, which are looked for once: that takes a tenth of the time of a small audit."""
    import sklearn.ensemble  # noqa: F401 - first, or its threads would not be found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


class Trees:
    """Boosted trees, trained on images of both classes; arguments as those of `judged`."""

    def __init__(self, values: Scores, texts: Sequence[bool], labels: Labels) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier

        self._trees = HistGradientBoostingClassifier(
            max_iter=_TREES,
            max_depth=_DEPTH,
            min_samples_leaf=_LEAF,
            learning_rate=_RATE,
            early_stopping=False,
            categorical_features=list(texts),
            random_state=0,
        )
        numbers = {label: int((labels == label).sum()) for label in (REAL, FAKE)}
        weights = np.where(labels == FAKE, 0.5 / numbers[FAKE], 0.5 / numbers[REAL]) * len(labels)
        # Small trees are slower on several threads, and one gives the same sums everywhere.
        with _threads().limit(limits=1):
            self._trees.fit(values, labels, sample_weight=weights)

    def chances(self, values: Scores) -> Scores:
        """For each image how likely it is generated, 0 to 1."""
        with _threads().limit(limits=1):
            return np.asarray(self._trees.predict_proba(values)[:, 1])
