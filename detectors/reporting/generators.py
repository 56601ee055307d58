"""A bar for each generator, with the images that were judged best and worst."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detectors.reporting.pictures import Pictures
from detectors.results.scores import UNCHANGED, read_scores
from detectors.results.table import ALL_FOLDS
from detectors.run import Run

#: Generators of a detector and dataset that are shown; those of lowest AP.
MOST = 200
#: Generators of a table that have pictures, and pictures of each: the best and the worst scored.
_PICTURED, _PICTURES = 24, 2


@dataclass(frozen=True)
class GeneratorBar:
    """One generator: its numbers, and pictures of its best and worst scored images."""

    name: str
    architecture: str
    values: dict[str, float | None]
    images: int
    best: Sequence[str] = ()
    """Data URIs: of the generated images with the highest logits."""
    worst: Sequence[str] = ()


@dataclass(frozen=True)
class GeneratorTable:
    """The generators of one detector, protocol and dataset, the worst first."""

    title: str
    rows: Sequence[GeneratorBar]
    all: int
    architectures: dict[str, float | None] = field(default_factory=dict)


#: Columns of the table: metric and threshold.
COLUMNS = {
    "AP": ("AP", None),
    "AUROC": ("AUROC", None),
    "accuracy of generated": ("accuracy of generated", "0.5"),
    "accuracy of its real images": ("accuracy of real", "0.5"),
}


def generator_tables(results: pa.Table, runs: Sequence[Run], pictures: Pictures) -> list[GeneratorTable]:
    """A table for each detector, protocol and dataset."""
    rows = results.filter(
        pc.and_(
            pc.equal(results.column("transform").cast(pa.string()), UNCHANGED),
            pc.and_(
                pc.equal(results.column("subset").cast(pa.string()), "all"),
                pc.equal(results.column("part").cast(pa.string()), "test"),
            ),
        )
    )
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    wanted = rows.filter(pc.is_in(rows.column("scope").cast(pa.string()), pa.array(["generator", "architecture"])))
    for row in wanted.to_pylist():
        if row["dataset"] is not None:
            groups.setdefault((row["detector"], row["protocol"], row["dataset"]), []).append(row)
    folders = {run.name: run.folder for run in runs}
    return [_table(key, group, folders, pictures) for key, group in sorted(groups.items())]


def _table(
    key: tuple[Any, ...], rows: Sequence[dict[str, Any]], folders: dict[str, Path], pictures: Pictures
) -> GeneratorTable:
    generators: dict[str, dict[str, Any]] = {}
    architectures: dict[str, float | None] = {}
    for row in rows:
        if row["scope"] == "architecture":
            if row["metric"] == "AP" and (row["name"] not in architectures or row["fold"] == ALL_FOLDS):
                architectures[row["name"]] = row["value"]
            continue
        about = generators.setdefault(row["name"], {"run": row["run"], "images": row["n_generated"], "values": {}})
        for name, of in COLUMNS.items():
            if (row["metric"], row["threshold"]) == of:
                about["values"][name] = row["value"]
    ordered = sorted(generators, key=lambda name: (_order(generators[name]["values"].get("AP")), name))
    shown = ordered[:MOST]
    pictured = [*shown[: _PICTURED // 2], *shown[-(_PICTURED // 2) :]]
    best, worst, kinds = _judged(key, {name: generators[name]["run"] for name in shown}, folders, pictured, pictures)
    bars = [
        GeneratorBar(
            name,
            kinds.get(name, "unknown"),
            {column: generators[name]["values"].get(column) for column in COLUMNS},
            generators[name]["images"],
            best.get(name, ()),
            worst.get(name, ()),
        )
        for name in shown
    ]
    return GeneratorTable(" · ".join(map(str, key)), bars, len(ordered), architectures)


def _order(value: float | None) -> float:
    return 2.0 if value is None else value


def _judged(
    key: tuple[Any, ...],
    runs: dict[str, str],
    folders: dict[str, Path],
    pictured: Sequence[str],
    pictures: Pictures,
) -> tuple[dict[str, list[str]], dict[str, list[str]], dict[str, str]]:
    """Pictures of the best and worst scored images of generators, and the architecture of all, from the scores."""
    chosen: dict[str, tuple[list[int], list[int]]] = {}
    kinds: dict[str, str] = {}
    for run in sorted({name for name in runs.values() if name in folders}):
        scores = read_scores(folders[run])
        same = pc.and_(
            pc.equal(scores.column("dataset").cast(pa.string()), key[2]),
            pc.equal(scores.column("transform").cast(pa.string()), UNCHANGED),
        )
        tested = pc.equal(scores.column("part").cast(pa.string()), "test")
        scores = scores.filter(pc.and_(pc.and_(same, tested), pc.is_valid(scores.column("logit"))))
        names = scores.column("generator").cast(pa.string())
        pairs = scores.select(["generator", "architecture"]).group_by(["generator", "architecture"]).aggregate([])
        kinds |= {row["generator"]: row["architecture"] or "unknown" for row in pairs.to_pylist() if row["generator"]}
        for name in pictured:
            if runs[name] == run and pictures.readable:
                mine = scores.filter(pc.equal(names, name))
                order = np.argsort(-mine.column("logit").to_numpy(), kind="stable")
                hashes = mine.column("sha256").to_numpy()[order]
                chosen[name] = (hashes[:_PICTURES].tolist(), hashes[::-1][:_PICTURES].tolist())
    shown = pictures.of([one for pair in chosen.values() for some in pair for one in some])
    best, worst = (
        {name: [shown[one] for one in pair[side] if one in shown] for name, pair in chosen.items()} for side in (0, 1)
    )
    return best, worst, kinds
