"""The figures of attribution, as elements of the page: the study's figures 8 and 9."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from detectors.attribution.tables import Confusion, MapPoint
from detectors.drawing import INK, SERIES, SOFT, draw, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Rectangle

#: Names of a map that have a colour; the rest are grey.
_NAMES = len(SERIES) - 1


def confusion_figure(rows: Sequence[Confusion], known: bool) -> Markup:
    """The confusion matrix of architectures that are among those that are compared with, or of those that are not.

    A row is what an image is, a column what it was taken for, a cell the share of the row.
    """
    rows = [row for row in rows if row.known == known]
    truths, predicted = (list(dict.fromkeys(getattr(row, name) for row in rows)) for name in ("truth", "predicted"))
    shares = np.zeros((len(truths), len(predicted)))
    for row in rows:
        shares[truths.index(row.truth), predicted.index(row.predicted)] = row.share
    images = {truth: sum(row.images for row in rows if row.truth == truth) for truth in truths}

    def matrix(axes: "Axes") -> None:
        # Rectangles, not a picture: colours of the page, and sharp at every size.
        for (row, place), share in np.ndenumerate(shares):
            axes.add_patch(_square(place, row, share))
            axes.text(place, row, f"{share:.2f}", ha="center", va="center", color=INK)
        axes.set_xlim(-0.5, len(predicted) - 0.5)
        axes.set_ylim(len(truths) - 0.5, -0.5)
        axes.set_xticks(range(len(predicted)), [short(name) for name in predicted], rotation=30, ha="right")
        axes.set_yticks(range(len(truths)), [f"{short(name)} ({images[name]:,})" for name in truths])
        axes.set_xlabel("taken for")

    title = f"Architectures that are {'known' if known else 'unknown'}: what their images are taken for"
    return draw(title, matrix, width=160 + 64 * len(predicted), height=110 + 40 * len(truths))


def _square(x: float, y: float, share: float) -> "Rectangle":
    from matplotlib.patches import Rectangle

    return Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=SERIES[0], alpha=0.05 + 0.75 * share, linewidth=0)


def map_figure(points: Sequence[MapPoint], by: str) -> Markup:
    """The map of features with a colour for each of the most frequent names. `by`: label (real or generated), or kind:
    the architecture of generated images, the source of real ones."""

    def name_of(point: MapPoint) -> str:
        if by == "label":
            return "generated" if point.label else "real"
        return (point.architecture if point.label else point.real_source) or "unknown"

    names = [name_of(point) for point in points]
    places = np.array([(point.x, point.y) for point in points])
    frequent = [name for name, _ in sorted(Counter(names).items(), key=lambda item: (-item[1], item[0]))][:_NAMES]

    def dots(axes: "Axes") -> None:
        for number, name in enumerate([*frequent, None]):
            own = np.array([one == name if name is not None else one not in frequent for one in names])
            if own.any():
                label = short(name) if name is not None else "others"
                colour = SERIES[number] if name is not None else SERIES[-1]
                axes.plot(*places[own].T, ".", color=colour, markersize=3, alpha=0.7, label=label, linestyle="none")
        axes.set_xticks([])
        axes.set_yticks([])
        for side in axes.spines.values():
            side.set_color(SOFT)
        axes.legend(frameon=False, fontsize=9, markerscale=3, loc="upper left", bbox_to_anchor=(1, 1))

    what = "real and generated images" if by == "label" else "architectures and sources of real images"
    return draw(f"Map of the features (UMAP): {what}", dots, width=520, height=360)
