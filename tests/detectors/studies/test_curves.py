import math
from xml.etree import ElementTree

import numpy as np
import pytest

from detectors.metrics.measuring import HALF, GeneratorValues, Measure
from detectors.studies.curves import METRICS, StudyValue, by_architecture, curves, standard_error
from detectors.studies.designs import DESIGNS
from detectors.studies.figures import study_figure


def value(point: int, repeat: int, number: float | None, series: str = "tiny", architecture: str = "all") -> StudyValue:
    return StudyValue(
        series=series,
        point=point,
        repeat=repeat,
        run="tiny-0",
        evaluation="e",
        generators=point,
        images=10,
        architecture=architecture,
        tested=4,
        metric="mAP",
        value=number,
    )


def scored(name: str, architecture: str | None, precision: float, accuracy: float) -> GeneratorValues:
    values = {Measure("AP"): precision, Measure("balanced accuracy", HALF): accuracy}
    return GeneratorValues(name, architecture, "d", 5, 5, values, {})


def test_a_curve_is_the_mean_and_the_standard_error_over_repeats():
    (curve,) = curves([value(10, 0, 0.7), value(1, 0, 0.5), value(10, 1, 0.9), value(1, 1, 0.6), value(30, 0, 0.9)])
    assert curve.points == (1, 10, 30)
    assert curve.means == pytest.approx((0.55, 0.8, 0.9))
    assert curve.errors[:2] == pytest.approx((0.05, 0.1))
    assert curve.errors[2] is None
    assert curve.repeats == (2, 2, 1)


def test_the_standard_error_is_that_of_the_sample():
    values = [0.1, 0.4, 0.2, 0.9]
    assert standard_error(values) == pytest.approx(np.std(values, ddof=1) / 2)


def test_what_is_undefined_is_left_out_of_means_and_never_averaged():
    (curve,) = curves([value(1, 0, None), value(1, 1, 0.8)])
    assert curve.means == (0.8,)
    assert curve.repeats == (1,)
    rows = list(
        by_architecture(
            [scored("a", "GAN", math.nan, 0.5), scored("b", "GAN", 0.6, 0.7), scored("c", None, math.nan, 1.0)]
        )
    )
    assert ("GAN", "mAP", 2, 0.6) in rows
    assert ("all", "accuracy", 3, pytest.approx(2.2 / 3)) in rows
    assert ("unknown", "mAP", 1, None) in rows


def test_every_generator_counts_once_in_the_mean_of_all():
    rows = {
        (kind, metric): mean
        for kind, metric, _, mean in by_architecture(
            [scored(name, "GAN" if name == "a" else "LatDiff", 1.0 if name == "a" else 0.5, 0.5) for name in "abcd"]
        )
    }
    assert rows["all", "mAP"] == pytest.approx(0.625)
    assert set(METRICS) == {metric for _, metric in rows}


@pytest.mark.parametrize("study", DESIGNS)
def test_every_study_has_a_figure(study):
    points = DESIGNS[study].points or (0,)
    rows = [
        value(point, repeat, 0.5 + 0.01 * repeat, series, kind)
        for point in points
        for repeat in range(2)
        for series in ("one", "other")
        for kind in ("all", "GAN", "<script>")
    ]
    svg = study_figure(study, curves(rows), "mAP")
    ElementTree.fromstring(svg)
    assert "<script" not in svg
    assert "other" in svg
