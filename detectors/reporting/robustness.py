"""How a detector's score falls with the strength of a transform: the study's figure 7, from the results."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from detectors.drawing import SERIES, SOFT, draw, short
from detectors.pixels.transforms import KINDS
from detectors.results.scores import UNCHANGED
from detectors.results.table import ALL_FOLDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: The metrics of figure 7, by the names that it gives them: metric and threshold of the results.
METRICS = {"mAP": ("AP", None), "accuracy": ("balanced accuracy", "0.5")}


@dataclass(frozen=True)
class RobustnessCurve:
    """The score of one detector at each strength of one transform. `unchanged`: its score of the images as they are."""

    detector: str
    transform: str
    metric: str
    unchanged: float | None
    strengths: tuple[float, ...]
    values: tuple[float, ...]


def robustness_curves(results: pa.Table, protocol: str) -> list[RobustnessCurve]:
    """The curves that the results (`results.Result`) of a protocol have, by transform and detector: means over the
    tested generators, of all folds together where there are several."""
    chosen = results.filter(
        pc.and_(
            pc.equal(results.column("scope").cast(pa.string()), "mean over generators"),
            pc.and_(
                pc.equal(results.column("part").cast(pa.string()), "test"),
                pc.equal(results.column("subset").cast(pa.string()), "all"),
            ),
        )
    )
    rows = [row for row in chosen.to_pylist() if row["protocol"] == protocol and row["value"] is not None]
    several = {row["detector"] for row in rows if row["fold"] == ALL_FOLDS}
    values: dict[tuple[str, str], dict[tuple[str, float | None], float]] = {}
    for row in rows:
        if row["detector"] in several and row["fold"] != ALL_FOLDS:
            continue
        for metric, of in METRICS.items():
            # Of several datasets those together come last, and count.
            if (row["metric"], row["threshold"]) == of:
                values.setdefault((row["detector"], metric), {})[row["transform"], row["strength"]] = row["value"]
    found = []
    for name in KINDS:
        for (detector, metric), scores in sorted(values.items()):
            points = sorted(
                (strength, value) for (kind, strength), value in scores.items() if kind == name and strength
            )
            if points:
                strengths, numbers = zip(*points, strict=True)
                unchanged = scores.get((UNCHANGED, None))
                found.append(RobustnessCurve(detector, name, metric, unchanged, strengths, numbers))
    return found


def robustness_figure(curves: Sequence[RobustnessCurve], transform: str, metric: str) -> Markup:
    """One transform: a line for each detector, and dashed its score of unchanged images; stronger to the right."""
    chosen = [curve for curve in curves if (curve.transform, curve.metric) == (transform, metric)]
    usual = KINDS[transform].usual

    def lines(axes: "Axes") -> None:
        for number, curve in enumerate(chosen):
            colour = SERIES[number % len(SERIES)]
            axes.plot(
                curve.strengths, curve.values, color=colour, marker="o", markersize=3.5, label=short(curve.detector)
            )
            if curve.unchanged is not None:
                axes.axhline(curve.unchanged, color=colour, linewidth=0.8, linestyle="--")
        axes.axhline(0.5, color=SOFT, linewidth=0.8, linestyle=":")
        axes.set_ylim(min(0.4, *(value for curve in chosen for value in curve.values)) if chosen else 0.4, 1.02)
        if usual[0] > usual[-1]:  # a lower quality is stronger
            axes.invert_xaxis()
        axes.set_xlabel(f"{transform}: {KINDS[transform].unit}")
        axes.set_ylabel(metric)
        if len(chosen) > 1:
            axes.legend(frameon=False, fontsize=9)

    return draw(f"Robustness to {transform}: {metric}", lines, width=320, height=220)
