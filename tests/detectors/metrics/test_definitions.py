"""Metrics are scikit-learn's, with ties, constant scores, one class, and one generated image in fifty."""

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    log_loss,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from detectors.metrics.calibration import (
    best_threshold,
    brier,
    class_weights,
    probabilities,
    reliability,
    temperature,
    threshold_at,
)
from detectors.metrics.definitions import RANKING, Scored, roc
from tests.scale import scaled

LOGITS = st.one_of(
    st.floats(-50, 50, width=32),
    st.sampled_from([-1.0, 0.0, 0.5]),  # ties
)


@st.composite
def scored(draw: st.DrawFn, both: bool = True) -> tuple[Any, Any]:
    size = draw(st.integers(2 if both else 1, 60))
    labels = draw(arrays.arrays(np.int8, size, elements=st.integers(0, 1)))
    if both:
        labels[:2] = (0, 1)
    constant = draw(st.booleans())
    logits = draw(arrays.arrays(np.float32, size, elements=LOGITS, fill=st.nothing() if not constant else LOGITS))
    return labels, logits


RARE = (np.array([1] + [0] * 50, np.int8), np.linspace(-1, 1, 51, dtype=np.float32))
CONSTANT = (np.array([0, 1, 1, 0], np.int8), np.zeros(4, np.float32))


@settings(max_examples=scaled(30, 1000))
@given(scored())
@example(RARE)
@example(CONSTANT)
def test_metrics_of_the_order_are_those_of_scikit_learn(images: Any) -> None:
    labels, logits = images
    weights, ours = class_weights(labels), Scored(labels, logits)
    assert ours.average_precision()[0] == pytest.approx(average_precision_score(labels, logits, sample_weight=weights))
    assert ours.auroc()[0] == pytest.approx(roc_auc_score(labels, logits, sample_weight=weights))
    false, true, _ = roc_curve(labels, logits, drop_intermediate=False)
    for rate in (0.01, 0.05, 0.5):
        expected = true[false <= rate + 1e-12].max()
        assert ours.true_positive_rate(rate)[0] == pytest.approx(expected)
    np.testing.assert_allclose(roc(labels, logits), (false, true))


@settings(max_examples=scaled(30, 1000))
@given(scored(), st.sampled_from([-0.5, 0.0, 0.25]))
@example(RARE, 0.0)
def test_metrics_at_a_threshold_are_those_of_scikit_learn(images: Any, threshold: float) -> None:
    labels, logits = images
    judged = (logits > threshold).astype(int)
    assert Scored(labels, logits).balanced_accuracy(threshold)[0] == pytest.approx(
        balanced_accuracy_score(labels, judged)
    )
    for label in (0, 1):
        expected = recall_score(labels, judged, pos_label=label, zero_division=np.nan)
        assert Scored(labels, logits).recall(label, threshold)[0] == pytest.approx(expected)


@settings(max_examples=scaled(30, 1000))
@given(scored(), st.integers(0, 1000))
def test_counting_an_image_twice_is_having_it_twice(images: Any, seed: int) -> None:
    labels, logits = images
    counts = np.random.default_rng(seed).integers(1, 4, (2, len(labels)))
    together = Scored(labels, logits, counts)
    for row, times in enumerate(counts):
        repeated = Scored(np.repeat(labels, times), np.repeat(logits, times))
        for name, metric in RANKING.items():
            assert metric(together)[row] == pytest.approx(metric(repeated)[0]), name
        assert together.balanced_accuracy(0.0)[row] == pytest.approx(repeated.balanced_accuracy(0.0)[0])


@settings(max_examples=scaled(20, 1000))
@given(st.integers(0, 1), st.integers(0, 5))
def test_what_needs_both_classes_is_undefined_with_one(label: int, size: int) -> None:
    labels, logits = np.full(size, label, np.int8), np.zeros(size, np.float32)
    one = Scored(labels, logits)
    assert all(np.isnan(metric(one)).all() for metric in RANKING.values())
    assert np.isnan(one.balanced_accuracy(0.0)).all()
    assert np.isnan(one.recall(1 - label, 0.0)).all()
    assert np.isnan(one.recall(label, 0.0)).all() == (size == 0)
    assert best_threshold(labels, logits) is None
    assert threshold_at(labels, logits, 0.05) is None
    assert temperature(labels, logits) is None
    assert brier(labels, logits) is None
    assert reliability(labels, logits).expected_error is None


def test_a_perfect_and_a_reversed_detector_have_the_extreme_values() -> None:
    labels = np.array([0] * 5 + [1] * 5, np.int8)
    perfect, reversed_ = Scored(labels, labels - 0.5), Scored(labels, 0.5 - labels)
    assert perfect.average_precision() == perfect.auroc() == perfect.balanced_accuracy(0.0) == [1.0]
    assert reversed_.auroc() == reversed_.balanced_accuracy(0.0) == [0.0]


@settings(max_examples=scaled(30, 1000))
@given(scored())
@example(RARE)
@example(CONSTANT)
def test_no_threshold_is_better_than_the_best_one(images: Any) -> None:
    labels, logits = images
    found = best_threshold(labels, logits)
    assert found is not None
    ours = Scored(labels, logits)
    candidates = [*np.unique(logits), -1e9, 1e9, 0.0]
    assert ours.balanced_accuracy(found)[0] >= max(ours.balanced_accuracy(one)[0] for one in candidates) - 1e-9
    at = threshold_at(labels, logits, 0.05)
    assert at is not None
    assert 1 - ours.recall(0, at)[0] <= 0.05 + 1e-9
    lower = [value for value in np.unique(logits) if value < at]
    if lower:  # the next lower one is too low
        assert 1 - ours.recall(0, float(np.nextafter(lower[-1], -np.inf)) - 1e-6)[0] > 0.05


@settings(max_examples=scaled(30, 1000))
@given(scored())
def test_the_brier_score_is_that_of_scikit_learn(images: Any) -> None:
    labels, logits = images
    expected = brier_score_loss(labels, probabilities(logits), sample_weight=class_weights(labels))
    assert brier(labels, logits) == pytest.approx(expected)


def test_the_temperature_makes_probabilities_right() -> None:
    chance = np.random.default_rng(0)
    true = chance.normal(0, 2, 20_000)
    labels = (chance.random(20_000) < 1 / (1 + np.exp(-true))).astype(np.int8)
    overconfident = 3 * true
    found = temperature(labels, overconfident)
    assert found == pytest.approx(3, rel=0.05)
    before, after = (
        reliability(labels, overconfident).expected_error,
        reliability(labels, overconfident / found).expected_error,
    )
    assert before is not None
    assert after is not None
    assert before > 0.1
    assert after < 0.02
    losses = [
        log_loss(labels, probabilities(overconfident / one), sample_weight=class_weights(labels))
        for one in (found, 2.5, 3.5)
    ]
    assert losses[0] == min(losses)


@settings(max_examples=scaled(30, 1000))
@given(scored())
@example(CONSTANT)
def test_bins_of_the_reliability_curve_hold_all_images_once(images: Any) -> None:
    labels, logits = images
    curve = reliability(labels, logits)
    assert curve.weight.sum() == pytest.approx(1)
    assert (curve.weight @ curve.generated) == pytest.approx(0.5)
    assert (curve.weight @ curve.confidence) == pytest.approx(class_weights(labels) @ probabilities(logits))


def test_bins_have_equal_weight_where_logits_differ() -> None:
    labels = np.arange(3000) % 2
    curve = reliability(labels, np.random.default_rng(0).normal(size=3000))
    assert len(curve.weight) == 15
    np.testing.assert_allclose(curve.weight, 1 / 15, atol=1e-3)
