"""What a study found: its values, one for each run and architecture, and their curves.

A curve is the mean over the repeats, with the standard error, as in the study's figures. Values are over generators, as
everywhere: mAP is the mean of the average precisions of the tested generators.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from detectors.metrics.measuring import HALF, GeneratorValues, Measure
from workspace.records import column

#: The two metrics of the study's figures, by the names that it gives them.
METRICS = {"mAP": Measure("AP"), "accuracy": Measure("balanced accuracy", HALF)}

#: The name of all architectures together, each generator counting once.
ALL = "all"


@dataclass(frozen=True, kw_only=True)
class StudyValue:
    """One metric of one run of a study, over the tested generators of one architecture."""

    series: str = column(pa.string(), "the curve, or the bar")
    point: int = column(pa.int64(), "on the x axis; 0 where the study has none")
    repeat: int = column(pa.int32(), "number of the repeat, from 0")
    run: str = column(pa.string(), "the run's folder in detect/")
    evaluation: str = column(pa.string(), "the evaluation in the run's scores")
    generators: int = column(pa.int64(), "how many generators it was trained on")
    images: int = column(pa.int64(), "how many generated images it was trained on, each counted once")
    architecture: str = column(pa.string(), "of the tested generators; all: every one; unknown")
    tested: int = column(pa.int64(), "how many generators were tested")
    metric: str = column(pa.string(), "mAP | accuracy: balanced, at probability one half")
    value: float | None = column(
        pa.float64(), "mean over the tested generators for which it is defined; null: for none", default=None
    )


@dataclass(frozen=True)
class Curve:
    """A series of a study for one architecture and metric. `error` is the standard error; None: of one repeat only."""

    series: str
    architecture: str
    metric: str
    points: tuple[int, ...]
    means: tuple[float, ...]
    errors: tuple[float | None, ...]
    repeats: tuple[int, ...]


def by_architecture(tested: Iterable[GeneratorValues]) -> Iterator[tuple[str, str, int, float | None]]:
    """Architecture, metric, number of generators and mean, of each architecture and of all."""
    groups: dict[str, list[GeneratorValues]] = {}
    for one in tested:
        groups.setdefault(ALL, []).append(one)
        groups.setdefault(one.architecture or "unknown", []).append(one)
    for architecture, generators in sorted(groups.items()):
        for metric, measure in METRICS.items():
            values = np.array([one.values[measure] for one in generators])
            defined = values[~np.isnan(values)]
            yield architecture, metric, len(generators), float(defined.mean()) if len(defined) else None


def curves(values: Iterable[StudyValue]) -> list[Curve]:
    """The curves of a study's values: all architectures first, points in order. Undefined values are left out."""
    found: dict[tuple[str, str, str], dict[int, list[float]]] = {}
    for row in values:
        if row.value is not None:
            of = found.setdefault((row.architecture, row.metric, row.series), {})
            of.setdefault(row.point, []).append(row.value)
    result = []
    for architecture, metric, series in sorted(found, key=lambda key: (key[0] != ALL, key)):
        points = sorted(found[architecture, metric, series].items())
        result.append(
            Curve(
                series,
                architecture,
                metric,
                tuple(point for point, _ in points),
                tuple(float(np.mean(repeats)) for _, repeats in points),
                tuple(standard_error(repeats) for _, repeats in points),
                tuple(len(repeats) for _, repeats in points),
            )
        )
    return result


def standard_error(values: list[float]) -> float | None:
    """The standard deviation of the mean, from that of the sample; None for one value."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
