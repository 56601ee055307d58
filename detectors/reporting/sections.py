"""Sections of the page that are figures only: a function of workspace and results gives each of them, or none."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from detectors.attribution.figures import confusion_figure, map_figure
from detectors.attribution.stage import read_attribution
from detectors.attribution.tables import Confusion, found_in_words
from detectors.reporting.robustness import METRICS, robustness_curves, robustness_figure
from detectors.run import runs
from detectors.studies.curves import curves
from detectors.studies.designs import DESIGNS
from detectors.studies.figures import study_figure
from detectors.studies.stage import studies
from workspace.layout import Workspace


@dataclass(frozen=True)
class Section:
    """A heading, a note below it, and drawings. `anchor`: its name in the page's address."""

    anchor: str
    title: str
    note: str
    figures: Sequence[Markup]


def sections(workspace: Workspace, results: pa.Table) -> list[Section]:
    """All sections that have figures, in their order."""
    return [section for make in _SECTIONS for section in make(workspace, results) if section.figures]


def _robustness(_workspace: Workspace, results: pa.Table) -> Iterator[Section]:
    for protocol in pc.unique(results.column("protocol")).to_pylist():
        curves = robustness_curves(results, protocol)
        transforms = list(dict.fromkeys(curve.transform for curve in curves))
        figures = [robustness_figure(curves, transform, metric) for transform in transforms for metric in METRICS]
        yield Section(
            f"robustness-{protocol}",
            f"Robustness, {protocol}",
            "Real and generated images changed alike before they are judged. Dashed: unchanged images; dotted: chance.",
            figures,
        )


def _studies(workspace: Workspace, _results: pa.Table) -> Iterator[Section]:
    for study in studies(workspace):
        found = curves(study.values)
        repeats = max((max(curve.repeats) for curve in found), default=0)
        yield Section(
            study.folder.name,
            DESIGNS[study.name].title,
            f"Test generators, by architecture; mean and standard error of {repeats} repeats. Figure "
            f"{DESIGNS[study.name].figure} of the study.",
            [study_figure(study.name, found, metric) for metric in dict.fromkeys(curve.metric for curve in found)],
        )


def _attribution(workspace: Workspace, _results: pa.Table) -> Iterator[Section]:
    for run in runs(workspace):
        confused, generators, points = read_attribution(run)
        figures = [confusion_figure(confused, known) for known in (True, False) if _has(confused, known)]
        if points:
            figures += [map_figure(points, by) for by in ("label", "kind")]
        yield Section(
            f"attribution-{run.name}",
            f"Attribution, {run.name}",
            "What the features say of where an image is from: they were trained for real or generated only. "
            + " ".join(found_in_words(generators)),
            figures,
        )


def _has(rows: Sequence[Confusion], known: bool) -> bool:
    return any(row.known == known for row in rows)


_SECTIONS: Sequence[Callable[[Workspace, pa.Table], Iterator[Section]]] = (_studies, _robustness, _attribution)
