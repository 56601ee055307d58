"""The linear probe: logistic regression on features, each generator and all real images together weighing alike."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from manifests.manifest import REAL

#: Iterations of L-BFGS at most; it ends before.
_ITERATIONS = 2000


@dataclass(frozen=True)
class Linear:
    """A linear layer: `weight` of shape (numbers,), `bias`."""

    weight: npt.NDArray[np.float32]
    bias: float

    def logits(self, features: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """float32 of shape (images,)."""
        return features.astype(np.float32) @ self.weight + np.float32(self.bias)


def fit(
    features: npt.NDArray[np.floating],
    labels: npt.NDArray[np.int8],
    generators: npt.NDArray[np.int32],
    c: float = 1.0,
) -> Linear:
    """The probe of training images. `generators`: a number for each generator; `c`: inverse strength of the penalty,
    on features of unit deviation.

    Half of the weight is real images, half generated ones, in which each generator has the same share.
    """
    from sklearn.linear_model import LogisticRegression

    values = features.astype(np.float64)
    mean, deviation = values.mean(0), values.std(0)
    deviation[deviation == 0] = 1
    groups = np.where(labels == REAL, -1, generators)
    _, place, counts = np.unique(groups, return_inverse=True, return_counts=True)
    fake_groups = len(counts) - int((groups == -1).any())
    share = np.where(labels == REAL, 0.5, 0.5 / max(1, fake_groups)) / counts[place]
    model = LogisticRegression(C=c, max_iter=_ITERATIONS)
    model.fit((values - mean) / deviation, labels, sample_weight=share * len(labels))
    weight = model.coef_[0] / deviation
    return Linear(weight.astype(np.float32), float(model.intercept_[0] - weight @ mean))
