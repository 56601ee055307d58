from dataclasses import fields
from typing import Any
from xml.etree import ElementTree

from detectors.reporting.robustness import robustness_curves, robustness_figure
from detectors.results.table import Result
from workspace import records


def row(detector: str, transform: str, strength: float | None, value: float | None, **more: Any) -> Result:
    about: dict[str, Any] = {field.name: 0 for field in fields(Result)} | {
        "detector": detector,
        "run": None,
        "model": "tiny",
        "protocol": "split",
        "fold": "split",
        "dataset": None,
        "part": "test",
        "transform": transform,
        "strength": strength,
        "subset": "all",
        "real": "paired",
        "scope": "mean over generators",
        "name": None,
        "metric": "AP",
        "threshold": None,
        "value": value,
        "lower": None,
        "upper": None,
    }
    return Result(**{**about, **more})


def test_a_curve_has_the_mean_at_each_strength_and_of_the_images_as_they_are():
    table = records.to_table(
        Result,
        [
            row("a", "none", None, 0.9),
            row("a", "jpeg", 50, 0.7),
            row("a", "jpeg", 75, 0.8),
            row("a", "jpeg", 75, 0.6, metric="balanced accuracy", threshold="0.5"),
            row("a", "jpeg", 75, 0.1, metric="balanced accuracy", threshold="oracle"),
            row("a", "jpeg", 75, 0.2, subset="matched"),
            row("a", "jpeg", 75, 0.3, scope="generator", name="g"),
            row("a", "jpeg", 75, 0.4, part="seen"),
            row("a", "blur", 1, None),
            row("a", "jpeg", 75, 0.5, protocol="cross"),
        ],
    )
    precision, accuracy = sorted(robustness_curves(table, "split"), key=lambda curve: curve.metric, reverse=True)
    assert (precision.metric, precision.strengths, precision.values) == ("mAP", (50.0, 75.0), (0.7, 0.8))
    assert precision.unchanged == 0.9
    assert (accuracy.metric, accuracy.values, accuracy.unchanged) == ("accuracy", (0.6,), None)


def test_of_several_folds_those_together_count():
    rows = [row("a", "jpeg", 75, value, fold=fold) for fold, value in (("1", 0.1), ("2", 0.2), ("all folds", 0.15))]
    (curve,) = robustness_curves(records.to_table(Result, rows), "split")
    assert curve.values == (0.15,)


def test_the_figure_has_a_line_for_each_detector():
    rows = [row(name, "jpeg", strength, 0.6) for name in ("one", "<b>two") for strength in (50.0, 75.0)]
    svg = robustness_figure(robustness_curves(records.to_table(Result, rows), "split"), "jpeg", "mAP")
    ElementTree.fromstring(svg)
    assert "&lt;b&gt;two" in svg
