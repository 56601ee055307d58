"""The figures of studies and of robustness, as elements of the page."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from detectors.drawing import INK, SERIES, draw, short
from detectors.studies.curves import ALL, Curve
from detectors.studies.designs import DESIGNS

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def study_figure(study: str, curves: Sequence[Curve], metric: str) -> Markup:
    """One metric of a study: a line for each series and architecture with its standard error; bars where there are no
    points. As in the figure that it repeats."""
    design = DESIGNS[study]
    chosen = [curve for curve in curves if curve.metric == metric]
    title = f"{design.title}: {metric}, mean and standard error"
    if design.axis:
        return draw(title, lambda axes: _lines(axes, chosen, metric, design.title))
    return draw(title, lambda axes: _bars(axes, chosen, metric), height=60 + 26 * len(chosen))


def _lines(axes: "Axes", curves: Sequence[Curve], metric: str, label: str) -> None:
    several = len({curve.series for curve in curves}) > 1
    for number, curve in enumerate(curves):
        name = curve.series if several and curve.architecture == ALL else curve.architecture
        if several and curve.architecture != ALL:
            name = f"{curve.series}, {curve.architecture}"
        axes.errorbar(
            curve.points,
            curve.means,
            yerr=[error or 0 for error in curve.errors],
            color=SERIES[number % len(SERIES)],
            linewidth=2.2 if curve.architecture == ALL else 1.2,
            linestyle="-" if number < len(SERIES) else "--",
            marker="o",
            markersize=3.5,
            capsize=2,
            label=short(name),
        )
    points = sorted({point for curve in curves for point in curve.points})
    axes.set_xscale("log")
    axes.set_xticks(points, [f"{point:,}" for point in points])
    axes.minorticks_off()
    axes.set_xlabel(label)
    axes.set_ylabel(metric)
    _with_legend(axes, len(curves))


def _bars(axes: "Axes", curves: Sequence[Curve], metric: str) -> None:
    names = [
        short(curve.series if curve.architecture == ALL else f"{curve.series}, {curve.architecture}")
        for curve in curves
    ]
    axes.barh(
        range(len(curves)),
        [curve.means[0] for curve in curves],
        xerr=[curve.errors[0] or 0 for curve in curves],
        color=[SERIES[0] if curve.architecture == ALL else SERIES[-1] for curve in curves],
        height=0.7,
        ecolor=INK,
        capsize=2,
    )
    axes.set_yticks(range(len(curves)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel(metric)


def _with_legend(axes: "Axes", entries: int) -> None:
    if entries > 1:
        axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
