"""What scores show of a detector: the ROC curve and the reliability of its probabilities."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from detectors.drawing import SERIES, SOFT, draw, short
from detectors.metrics.calibration import Reliability, reliability
from detectors.metrics.definitions import Numbers, roc
from detectors.metrics.measuring import Part, Thresholds
from detectors.results.scores import UNCHANGED, read_scores
from detectors.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Points of a curve that are drawn.
_POINTS = 200


#: Folds of a detector that are drawn.
_FOLDS = len(SERIES)


@dataclass(frozen=True)
class DetectorCurves:
    """The drawings of one detector and protocol on one dataset: a line for each fold."""

    title: str
    folds: int
    roc: Markup
    reliability: Markup


@dataclass(frozen=True)
class _Fold:
    """What is drawn of a fold: nothing whose size is that of its images."""

    name: str
    roc: tuple[Numbers, Numbers]
    reliability: Sequence[tuple[str, Reliability]]
    """Of the probabilities as they are and with the temperature, each with its line."""


def curve_figures(runs: Sequence[Run], results: pa.Table) -> list[DetectorCurves]:
    """The drawings of all detectors with scores of both classes. All images count, each class one half."""
    detectors = results.select(["detector", "run"]).group_by(["detector", "run"]).aggregate([]).to_pylist()
    detector_of = {row["run"]: row["detector"] for row in detectors}
    found: dict[tuple[str, str, str], list[_Fold]] = {}
    for run in runs:
        if run.name in detector_of:
            for (protocol, dataset), fold in _folds(run):
                found.setdefault((detector_of[run.name], protocol, dataset), []).append(fold)
    figures = []
    for key, folds in sorted(found.items()):
        title = " · ".join(key)
        shown = sorted(folds, key=lambda fold: fold.name)[:_FOLDS]
        figures.append(DetectorCurves(title, len(folds), _roc(title, shown), _reliability(title, shown)))
    return figures


def _folds(run: Run) -> Iterator[tuple[tuple[str, str], _Fold]]:
    """The protocol and dataset of each evaluation of a run with images of both classes."""
    scores = read_scores(run.folder)
    scores = scores.filter(pc.equal(scores.column("transform").cast(pa.string()), UNCHANGED))
    for evaluation in pc.unique(scores.column("evaluation")).to_pylist():
        here = scores.filter(pc.equal(scores.column("evaluation").cast(pa.string()), evaluation))
        protocol, fold = (here.column(name)[0].as_py() for name in ("protocol", "fold"))
        parts = here.column("part").cast(pa.string())
        tested = here.filter(pc.equal(parts, "test"))
        validation = Part.of(here.filter(pc.equal(parts, "validation")))
        for dataset in pc.unique(tested.column("dataset")).to_pylist():
            part = Part.of(tested.filter(pc.equal(tested.column("dataset").cast(pa.string()), dataset)))
            if len(np.unique(part.labels)) == 2:
                temperature = Thresholds.of(validation, part).temperature
                scaled = [("-", part.logits)] + ([] if temperature is None else [("--", part.logits / temperature)])
                bins = [(line, reliability(part.labels, logits)) for line, logits in scaled]
                yield (protocol, dataset), _Fold(fold, _thinned(*roc(part.labels, part.logits)), bins)


def _roc(title: str, folds: Sequence[_Fold]) -> Markup:
    def curves(axes: "Axes") -> None:
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle=":")
        for number, fold in enumerate(folds):
            axes.plot(*fold.roc, color=SERIES[number], linewidth=1.6, label=short(fold.name))
        _square(axes, "false positive rate", "true positive rate")
        if len(folds) > 1:
            axes.legend(frameon=False, fontsize=8, loc="lower right")

    return draw(f"ROC curve of {title}", curves, 260, 250)


def _reliability(title: str, folds: Sequence[_Fold]) -> Markup:
    """Solid as the probabilities are, dashed with the temperature."""

    def curves(axes: "Axes") -> None:
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle=":")
        for number, fold in enumerate(folds):
            for line, bins in fold.reliability:
                axes.plot(
                    bins.confidence,
                    bins.generated,
                    color=SERIES[number],
                    linestyle=line,
                    linewidth=1.2,
                    marker="o",
                    markersize=2.5,
                )
        _square(axes, "probability", "share that is generated")

    return draw(f"Reliability of {title}", curves, 260, 250)


def _square(axes: "Axes", across: str, upwards: str) -> None:
    axes.set_xlabel(across)
    axes.set_ylabel(upwards)
    axes.set_aspect("equal")


def _thinned(false: Numbers, true: Numbers) -> tuple[Numbers, Numbers]:
    """Some points of a curve of many, the first and last among them."""
    if len(false) <= _POINTS:
        return false, true
    kept = np.unique(np.linspace(0, len(false) - 1, _POINTS).astype(int))
    return false[kept], true[kept]
