"""Results: the metrics of all runs of a workspace, in `detect/results.parquet`.

They are a function of the scores of the runs: `update_results` computes again those of which scores were added, and
keeps the others. Runs that differ only in their fold are one detector, whose folds are also taken together.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from detectors.data.hashes import Hashes
from detectors.metrics.measuring import (
    PART_COLUMNS,
    GeneratorValues,
    Part,
    Thresholds,
    Value,
    generators_of,
    of_images,
    summary,
)
from detectors.options import RealImages
from detectors.results.scores import UNCHANGED, parts_of, read_scores
from detectors.run import Run, runs
from manifests.manifest import REAL
from workspace import records
from workspace.layout import Workspace
from workspace.progress import task
from workspace.records import column

#: `fold` of what several folds have together.
ALL_FOLDS = "all folds"

#: Key of the digests of the scores, by detector, in the file's metadata.
_SCORES = b"community_forensics_scores"

_NAME = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True, kw_only=True)
class Result:
    """One number."""

    detector: str = column(_NAME, "runs that differ in their fold only: the model, and digits of their recipe")
    run: str | None = column(_NAME, "name of the run; null: several folds together", default=None)
    model: str = column(_NAME, "name of the model")
    protocol: str = column(_NAME, "who was tested, such as generator:5")
    fold: str = column(_NAME, "name of the fold; all folds")
    dataset: str | None = column(_NAME, "name of the source; null: several together", default=None)
    part: Literal["test", "later", "seen", "whole"] = column(
        _NAME, "test; of the protocol temporal also later, seen (as in the scores), and whole: all three"
    )
    transform: str = column(_NAME, "what was done to the images; none: nothing")
    strength: float | None = column(pa.float32(), "of the transform; null: it has none", default=None)
    subset: Literal["all", "matched"] = column(
        _NAME, "matched: only pairs of real and generated images with like files, as the audit chose them"
    )
    real: RealImages = column(
        _NAME, "paired: a generator is judged against the real images of its pairs; all: against all"
    )
    scope: str = column(
        _NAME,
        "generator | architecture | mean over generators | mean over architectures | worst generator | 5 % quantile of "
        "generators | images (all together)",
    )
    name: str | None = column(_NAME, "of the generator or architecture; null: of several", default=None)
    metric: str = column(_NAME, "AP | AUROC | TPR at 1% FPR | balanced accuracy | ECE | ...")
    threshold: str | None = column(
        _NAME, "0.5 (probability) | calibrated | calibrated for 5 % FPR | oracle; null: at none", default=None
    )
    value: float | None = column(pa.float64(), "null: undefined", default=None)
    lower: float | None = column(pa.float64(), "lower bound of the interval of 95 %; null: none", default=None)
    upper: float | None = column(pa.float64(), "upper bound", default=None)
    n_real: int = column(pa.int64(), "real images, once for each generator that they are beside")
    n_generated: int = column(pa.int64(), "generated images")
    generators: int = column(pa.int64(), "generators that it is over")
    undefined: int = column(
        pa.int64(), "generators, or architectures, that are left out because it is undefined for them"
    )
    unread: int = column(pa.int64(), "images of the part that could not be read")


def results_path(workspace: Workspace) -> Path:
    """The file of the results."""
    return workspace.detect / "results.parquet"


def read_results(workspace: Workspace) -> pa.Table:
    """All results, by detector and fold; none before the first evaluation. Errors as `records.read_table`."""
    path = results_path(workspace)
    return records.read_table(path, Result) if path.exists() else records.to_table(Result, [])


@dataclass(frozen=True)
class Matched:
    """The matched subset: the hashes of the generated image and of the real one of each pair."""

    generated: Hashes
    real: Hashes

    @property
    def digest(self) -> str:
        """Of the pairs."""
        return hashlib.sha256(self.generated.tobytes() + self.real.tobytes()).hexdigest()


def update_results(workspace: Workspace, matched: Matched | None = None, real: RealImages = "paired") -> pa.Table:
    """Compute the results of all runs with scores, write and return them; what was computed from the same scores is
    kept."""
    detectors = _detectors(workspace)
    wanted = {name: _digest(members, matched, real) for name, members in detectors.items()}
    known = _known(workspace)
    former = read_results(workspace) if known else records.to_table(Result, [])
    tables = []
    with task("metrics", total=len(detectors)) as progress:
        for name, members in detectors.items():
            if known.get(name) == wanted[name]:
                tables.append(former.filter(pc.equal(former.column("detector"), name)))
            else:
                tables.append(results_of(name, members, matched, real))
            progress.advance(note=name)
    table = pa.concat_tables(tables or [records.to_table(Result, [])]).unify_dictionaries()
    schema = records.schema(Result).with_metadata({_SCORES: json.dumps(wanted)})
    workspace.detect.mkdir(parents=True, exist_ok=True)
    records.write_table(results_path(workspace), table.combine_chunks().cast(schema))
    return table


def _known(workspace: Workspace) -> dict[str, str]:
    """The digest of the scores of each detector in the file; none where there is no file of this version."""
    path = results_path(workspace)
    if not path.exists():
        return {}
    with records.reading(path):
        schema = pq.read_schema(path)
    if not schema.equals(records.schema(Result)):
        return {}
    return dict(json.loads((schema.metadata or {}).get(_SCORES, b"{}")))


def _detectors(workspace: Workspace) -> dict[str, list[Run]]:
    """The runs with scores, by the detector of which they are folds."""
    found: dict[str, list[Run]] = {}
    for run in runs(workspace):
        if parts_of(run.folder):
            found.setdefault(run.recipe.detector, []).append(run)
    return dict(sorted(found.items()))


def _digest(members: Sequence[Run], matched: Matched | None, real: RealImages) -> str:
    """Of the names and sizes of the files of scores: a part never changes."""
    parts = sorted(
        (run.name, part.parent.name, part.name, part.stat().st_size) for run in members for part in parts_of(run.folder)
    )
    return hashlib.sha256(json.dumps([parts, matched and matched.digest, real]).encode()).hexdigest()


def results_of(
    detector: str, members: Sequence[Run], matched: Matched | None = None, real: RealImages = "paired"
) -> pa.Table:
    """The results of the runs of one detector."""
    rows = _Rows()
    together: dict[tuple[Any, ...], list[GeneratorValues]] = {}
    folds: dict[tuple[Any, ...], set[str]] = {}
    for run in members:
        for about, values in _of_run(run, matched, real):
            about = {"detector": detector, "model": run.recipe.model, "real": real, **about}
            rows.add({**about, "run": run.name}, values.summed)
            key = tuple(sorted((name, value) for name, value in about.items() if name not in ("fold", "unread")))
            together.setdefault(key, []).extend(values.generators)
            folds.setdefault(key, set()).add(about["fold"])
    for key, generators in together.items():
        if len(folds[key]) > 1:
            about = {**dict(key), "run": None, "fold": ALL_FOLDS, "unread": 0}
            rows.add(about, (value for value in summary(generators) if value.scope != "generator"))
    return rows.table()


@dataclass(frozen=True)
class _Values:
    generators: list[GeneratorValues]
    summed: list[Value]


def _of_run(run: Run, matched: Matched | None, real: RealImages) -> Iterator[tuple[dict[str, Any], _Values]]:
    """What a run's results are of, and their values."""
    scores = read_scores(run.folder)
    evaluations = pc.unique(scores.column("evaluation")).to_pylist()
    for evaluation in evaluations:
        here = scores
        if len(evaluations) > 1:
            here = scores.filter(pc.equal(scores.column("evaluation"), evaluation))
        protocol, fold = (here.column(name)[0].as_py() for name in ("protocol", "fold"))
        validation = Part.of(_part(here, ("validation",), (UNCHANGED, None)))
        transforms = here.select(["transform", "strength"]).group_by(["transform", "strength"]).aggregate([])
        for transform in sorted(
            zip(*(transforms.column(name).to_pylist() for name in ("transform", "strength")), strict=True),
            key=lambda one: (one[0] != UNCHANGED, one[0], one[1] or 0.0),
        ):
            for name, parts in _PARTS.items():
                if name != "test" and not _is_of_time(here):
                    continue
                # The real images of the test are beside all generators.
                chosen = _part(here, (*parts, "test"), transform)
                of_parts = pc.is_in(chosen.column("part").cast(pa.string()), pa.array(parts))
                if name != "test":
                    if not pc.any(of_parts).as_py():
                        continue
                    chosen = chosen.filter(pc.or_(of_parts, pc.equal(chosen.column("label"), REAL)))
                about = {
                    "protocol": protocol,
                    "fold": fold,
                    "part": name,
                    "transform": transform[0],
                    "strength": transform[1],
                    "unread": chosen.column("logit").null_count,
                }
                part = Part.of(chosen)
                subsets = {"all": part}
                if matched is not None:
                    subsets["matched"] = part.matched(matched.generated, matched.real)
                for subset, images in subsets.items():
                    if len(images):
                        for dataset, values in _of_images(images, validation, real):
                            yield {**about, "subset": subset, "dataset": dataset}, values


_PARTS = {"test": ("test",), "later": ("later",), "seen": ("seen",), "whole": ("test", "later", "seen")}


def _is_of_time(scores: pa.Table) -> bool:
    return bool(pc.any(pc.is_in(scores.column("part").cast(pa.string()), pa.array(["later", "seen"]))).as_py())


def _part(scores: pa.Table, parts: Sequence[str], transform: tuple[str, float | None]) -> pa.Table:
    chosen = pc.and_(
        pc.is_in(scores.column("part").cast(pa.string()), pa.array(parts)),
        pc.equal(scores.column("transform").cast(pa.string()), transform[0]),
    )
    strength = scores.column("strength")
    same = pc.is_null(strength) if transform[1] is None else pc.fill_null(pc.equal(strength, transform[1]), False)
    return scores.select([*PART_COLUMNS, "part"]).filter(pc.and_(chosen, same))


def _of_images(part: Part, validation: Part, real: RealImages) -> Iterator[tuple[str | None, _Values]]:
    """The values of each dataset, and of all together where there are several."""
    names, present = part.names["dataset"], np.unique(part.dataset).tolist()
    chosen: list[tuple[str | None, Part]] = [(names[one], part.where(part.dataset == one)) for one in present]
    if len(present) > 1:
        chosen.append((None, part))
    for dataset, images in chosen:
        thresholds = Thresholds.of(validation, images)
        generators = list(generators_of(images, thresholds, real))
        yield dataset, _Values(generators, [*summary(generators), *of_images(images, thresholds)])


class _Rows:
    """Rows of results, as columns."""

    def __init__(self) -> None:
        self._columns: dict[str, list[Any]] = {name: [] for name in records.schema(Result).names}

    def add(self, about: dict[str, Any], values: "Iterator[Value] | Sequence[Value]") -> None:
        for value in values:
            row = {
                **about,
                "scope": value.scope,
                "name": value.name,
                "metric": value.measure.metric,
                "threshold": value.measure.threshold,
                "value": value.value,
                "lower": value.lower,
                "upper": value.upper,
                "n_real": value.n_real,
                "n_generated": value.n_generated,
                "generators": value.generators,
                "undefined": value.undefined,
            }
            for name, cells in self._columns.items():
                cells.append(row[name])

    def table(self) -> pa.Table:
        schema = records.schema(Result)
        arrays = []
        for field in schema:
            named = pa.types.is_dictionary(field.type)
            array = pa.array(self._columns[field.name], field.type.value_type if named else field.type)
            arrays.append(pc.dictionary_encode(array) if named else array)
        return pa.Table.from_arrays(arrays, schema=schema)
