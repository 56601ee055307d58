import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from manifests.audit.scores import Repetitions, _Fold, score

ROWS = st.lists(
    st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.7, 0.9]), st.booleans(), st.integers(1, 4)), min_size=2, max_size=40
).filter(lambda rows: len({generated for _, generated, _ in rows}) == 2)


@given(ROWS)
def test_it_counts_as_scikit_learn_does(rows: list[tuple[float, bool, int]]) -> None:
    judgements, generated, weights = (np.array(values) for values in zip(*rows, strict=True))
    ((auroc, accuracy),) = _Fold(judgements, generated).scores(weights.astype(float)[None])
    assert auroc == pytest.approx(roc_auc_score(generated, judgements, sample_weight=weights))
    if not (judgements == 0.5).any():
        said = balanced_accuracy_score(generated, judgements > 0.5, sample_weight=weights)
        assert accuracy == pytest.approx(said)


def test_the_interval_is_of_generators_not_of_images() -> None:
    # Two of four generators are judged right: how many images each of them has does not make that more certain.
    labels = np.array([1] * 400 + [0] * 400)
    groups = [f"generator {number // 100}" for number in range(400)] + [f"real {number}" for number in range(400)]
    judgements = np.where(labels == 0, 0.4, np.repeat([0.9, 0.1, 0.9, 0.1, *[0.4] * 4], 100))
    found = score("x", judgements, Repetitions(labels, groups, np.zeros(800, np.int64)))
    assert found is not None
    assert found.auroc == 0.5
    assert found.auroc_high - found.auroc_low > 0.5


def test_without_both_classes_in_a_fold_there_is_no_score() -> None:
    labels = np.array([1, 1, 0, 0])
    assert score("x", np.full(4, 0.5), Repetitions(labels, list("abcd"), labels)) is None
