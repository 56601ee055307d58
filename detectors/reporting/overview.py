"""The table of the page: a row for each detector, protocol and dataset."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from detectors.metrics.measuring import CALIBRATED, HALF
from detectors.results.auditing import DataAudit
from detectors.results.scores import UNCHANGED
from detectors.results.table import ALL_FOLDS

#: What a row of the results must not differ in, to be in the same row of the table.
_KEY = ("detector", "protocol", "dataset", "part")


@dataclass(frozen=True)
class Cell:
    """A number with its interval, and what else is known of it."""

    value: float | None
    lower: float | None = None
    upper: float | None = None
    note: str | None = None


@dataclass(frozen=True)
class Row:
    """What one detector reaches under one protocol."""

    detector: str
    model: str
    protocol: str
    folds: str
    dataset: str
    generators: int
    undefined: int
    cells: dict[str, Cell]


#: Columns of the table: a name, what it shows, and the scope, metric and threshold of the results.
COLUMNS = {
    "mAP": ("mean over generators", "AP", None),
    "AUROC": ("mean over generators", "AUROC", None),
    "accuracy": ("mean over generators", "balanced accuracy", HALF),
    "accuracy, calibrated": ("mean over generators", "balanced accuracy", CALIBRATED),
    "TPR at 5 % FPR": ("mean over generators", "TPR at 5% FPR", None),
    "worst AP": ("worst generator", "AP", None),
    "ECE": ("images", "ECE", None),
}
SHORTCUT, MATCHED = "shortcut AUROC", "matched mAP"


def overview(results: pa.Table, audits: Sequence[DataAudit]) -> list[Row]:
    """The rows, by model, protocol and dataset; of several folds what they reach together.

    The shortcut is that of the audit of the same data; matched is the detector's mAP on the matched subset.
    """
    shortcuts = {name: audit.audit.findings.together for audit in audits for name in (audit.name, *audit.data)}
    rows = []
    for key, group in _groups(results).items():
        chosen = _of_folds(group)
        cells = {}
        for name, (scope, metric, threshold) in COLUMNS.items():
            cells[name] = _cell(_found(chosen, "all", scope, metric, threshold), metric)
        dataset = key[2] if key[2] is not None else "all together"
        together = shortcuts.get(dataset)
        cells[SHORTCUT] = (
            Cell(None, note="not audited")
            if together is None
            else Cell(together.auroc, together.auroc_low, together.auroc_high)
        )
        cells[MATCHED] = _cell(_found(chosen, "matched", *COLUMNS["mAP"]), "AP")
        mean = _found(chosen, "all", *COLUMNS["mAP"])
        folds = {str(row["fold"]) for row in group} - {ALL_FOLDS}
        rows.append(
            Row(
                detector=key[0],
                model=str(chosen[0]["model"]),
                protocol=key[1] if key[3] == "test" else f"{key[1]}, {key[3]}",
                folds=f"{len(folds)} folds" if len(folds) > 1 else folds.pop(),
                dataset=dataset,
                generators=0 if mean is None else int(mean["generators"]),
                undefined=0 if mean is None else int(mean["undefined"]),
                cells=cells,
            )
        )
    return sorted(rows, key=lambda row: (row.model, row.detector, row.protocol, row.dataset))


@dataclass(frozen=True)
class Period:
    """A fold of the protocol temporal: the mAP of the next period, of the later ones, of the past and of all."""

    detector: str
    fold: str
    cells: dict[str, Cell]


def periods(results: pa.Table) -> list[Period]:
    """What detectors that were trained up to a day reach, by the day; none where there was no such protocol."""
    found: dict[tuple[str, str], dict[str, Cell]] = {}
    for row in _unchanged(results).to_pylist():
        timed = str(row["protocol"]).startswith("temporal") and row["fold"] != ALL_FOLDS
        if timed and (row["scope"], row["metric"], row["subset"]) == ("mean over generators", "AP", "all"):
            found.setdefault((row["detector"], row["fold"]), {})[_SAID[row["part"]]] = _cell(row, "AP")
    return [Period(detector, fold, cells) for (detector, fold), cells in sorted(found.items())]


_SAID = {"test": "next", "later": "later", "seen": "past", "whole": "whole"}


def _groups(results: pa.Table) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    scopes = pa.array(sorted({scope for scope, _, _ in COLUMNS.values()}))
    rows = _unchanged(results)
    rows = rows.filter(pc.is_in(rows.column("scope").cast(pa.string()), scopes))
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows.to_pylist():
        if row["part"] in ("test", "whole"):
            found.setdefault(tuple(row[name] for name in _KEY), []).append(row)
    return found


def _unchanged(results: pa.Table) -> pa.Table:
    return results.filter(pc.equal(results.column("transform").cast(pa.string()), UNCHANGED))


def _of_folds(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of all folds together; where there is one fold, those of it. What is not computed for several folds, such
    as calibration, is that of the folds."""
    together = [row for row in rows if row["fold"] == ALL_FOLDS]
    if not together:
        return rows
    known = {(row["subset"], row["scope"], row["metric"], row["threshold"]) for row in together}
    others = [row for row in rows if (row["subset"], row["scope"], row["metric"], row["threshold"]) not in known]
    return together + others


def _found(
    rows: Sequence[dict[str, Any]], subset: str, scope: str, metric: str, threshold: str | None
) -> dict[str, Any] | None:
    """The row of a number; of several folds their mean, without an interval."""
    wanted = (subset, scope, metric, threshold)
    found = [row for row in rows if (row["subset"], row["scope"], row["metric"], row["threshold"]) == wanted]
    if len(found) < 2:
        return found[0] if found else None
    known = [row["value"] for row in found if row["value"] is not None]
    return {**found[0], "value": sum(known) / len(known) if known else None, "lower": None, "upper": None}


def _cell(row: dict[str, Any] | None, metric: str) -> Cell:
    if row is None:
        return Cell(None)
    note = row["name"] if row["scope"] == "worst generator" else None
    if row["value"] is None:
        note = f"{metric} is undefined"
    return Cell(row["value"], row["lower"], row["upper"], note)
