"""Making a study: its runs one after the other, each a run as any other, and its values in `detect/studies/`.

    detect/studies/<study>-<digits>/study.toml           what was asked for, of which data
    detect/studies/<study>-<digits>/values/*.parquet     the values of each run that is finished (`curves.StudyValue`)

Shards share the runs. What has values is done, so a study that was interrupted, or that gets more repeats or points,
makes what is missing. Values are a function of the runs' scores, which are kept.
"""

import hashlib
import json
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import tomli_w

from crawler.catalog import read_catalog
from detectors.data.index import Index
from detectors.metrics.measuring import Part, Thresholds, generators_of
from detectors.models.detector import load
from detectors.models.shortcut import NAME as SHORTCUT
from detectors.models.shortcut import load_shortcut
from detectors.options import StudyOptions, TrainOptions
from detectors.protocols.folds import folds
from detectors.results.evaluation import ImageDetector, RowDetector, evaluate
from detectors.results.scores import read_scores
from detectors.run import Run
from detectors.studies.cells import Cell, cells
from detectors.studies.curves import StudyValue, by_architecture, curves
from detectors.studies.designs import design_of
from detectors.training.forecast import forecast
from detectors.training.stage import trained
from workspace import records
from workspace.atomic import write_bytes
from workspace.errors import UsageError
from workspace.extras import require_extra
from workspace.layout import Workspace
from workspace.progress import task
from workspace.shard import Shard

#: The options that make another study of it; of its points and repeats there may be more.
_ASKED = ("study", "images", "fix", "architecture", "popular", "random", "source", "seed", "protocol", "kin")


@dataclass(frozen=True)
class Study:
    """A study in a workspace."""

    folder: Path
    name: str
    """generators, images, ..."""

    @property
    def values(self) -> list[StudyValue]:
        """What is there of it, by series, point and repeat. Raises `DamagedFileError`."""
        parts = sorted((self.folder / "values").glob("*.parquet"))
        rows = [row for part in parts for row in records.read(part, StudyValue)]
        return sorted(rows, key=lambda row: (row.series, row.point, row.repeat))

    def has(self, cell: Cell) -> bool:
        """Whether a run's values are there."""
        return self._file(cell).exists()

    def add(self, cell: Cell, rows: Sequence[StudyValue]) -> None:
        """Write a run's values."""
        records.write(self._file(cell), StudyValue, rows)

    def _file(self, cell: Cell) -> Path:
        series = hashlib.sha256(cell.series.encode()).hexdigest()[:12]
        return self.folder / "values" / f"{series}-{cell.point:09d}-{cell.repeat:04d}.parquet"


def studies(workspace: Workspace) -> list[Study]:
    """The studies of a workspace, by name. Raises `UsageError` for one that another program wrote."""
    found = []
    for file in sorted((workspace.detect / "studies").glob("*/study.toml")):
        try:
            found.append(Study(file.parent, str(tomllib.loads(file.read_text(encoding="utf-8"))["study"])))
        except (OSError, ValueError, KeyError) as error:
            raise UsageError(f"{file} is no description of a study: remove its folder") from error
    return found


@dataclass(frozen=True)
class StudyReport:
    """What was made, or would be."""

    study: Study
    about: Sequence[str]
    done: int
    """Runs of the study whose values are there."""
    runs: int
    """Runs that it has."""

    def lines(self) -> Iterator[str]:
        """For the terminal."""
        yield from self.about
        yield f"{self.done} of {self.runs} runs of the study `{self.study.name}` are done"
        for curve in curves(self.study.values):
            for point, mean, error, repeats in zip(curve.points, curve.means, curve.errors, curve.repeats, strict=True):
                at = f" at {point}" if point else ""
                spread = "" if error is None else f" ± {error:.3f} (standard error of {repeats} repeats)"
                yield f"  {curve.series}, {curve.architecture}{at}: {curve.metric} {mean:.3f}{spread}"
        yield f"values: {self.study.folder}; figures: `cf-detect report`"


def make_study(workspace: Workspace, options: StudyOptions) -> StudyReport:
    """Make the runs of a study that are this shard's and not there yet.

    Raises `UsageError` for an unknown study, points that the data cannot have, or settings that a model does not have.
    """
    require_extra("detect", "cf-detect study")
    shard, options = Shard.parse(options.shard), _with_popular(workspace, options)
    design = design_of(options)  # refuses before the images are read
    index = Index.open(options.data, workspace, options.hub)
    made = folds(index, options.protocol, options.seed, options.kin)[: design.repeats]
    study = _study(workspace, index, options)
    about = [*index.notes(), *(line for fold in made for line in fold.lines(index))]
    everything = list(cells(index, made, options))
    missing = [cell for cell in everything if not study.has(cell)]
    if options.dry_run:
        about += [*map(_planned, missing), *_forecasts(missing, options)]
    else:
        _describe(study, options, index)
        # The share of all runs, so that shards agree whatever is done already.
        mine = [cell for cell in shard.of(everything) if not study.has(cell)]
        with task(f"study {options.study}", total=len(mine)) as progress:
            for cell in mine:
                study.add(cell, _values(workspace, index, cell, options))
                progress.advance(note=f"{cell.series}, {cell.point}")
        missing = [cell for cell in everything if not study.has(cell)]
    return StudyReport(study, about, len(everything) - len(missing), len(everything))


def _with_popular(workspace: Workspace, options: StudyOptions) -> StudyOptions:
    """The options, with the popular generators of the workspace's catalogue where they need some and name none."""
    if options.study != "images" or options.popular or not workspace.catalog.exists():
        return options
    entries = sorted(read_catalog(workspace), key=lambda entry: (-(entry.downloads or 0), entry.generator))
    return replace(options, popular=tuple(entry.generator for entry in entries))


def _study(workspace: Workspace, index: Index, options: StudyOptions) -> Study:
    """The study's folder: named by all that was asked for but its points and repeats, which may grow."""
    content = json.dumps(_description(options, index), sort_keys=True)
    digits = hashlib.sha256(content.encode()).hexdigest()[:12]
    return Study(workspace.detect / "studies" / f"{options.study}-{digits}", options.study)


def _description(options: StudyOptions, index: Index) -> dict[str, Any]:
    """What was asked for, and of which data: what TOML can hold."""
    asked = {name: getattr(options, name) for name in _ASKED}
    design = design_of(options)
    asked |= {"models": design.models, "steps": design.steps, "settings": dict(options.settings)}
    asked["data"] = index.digests
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in asked.items() if value is not None
    }


def _describe(study: Study, options: StudyOptions, index: Index) -> None:
    content = tomli_w.dumps(_description(options, index)).encode()
    file = study.folder / "study.toml"
    if not file.exists():
        write_bytes(file, content)


def _planned(cell: Cell) -> str:
    where = f"{cell.series} at {cell.point}" if cell.point else cell.series
    return (
        f"would train {cell.model} for {where}, repeat {cell.repeat + 1}: {cell.images} generated images of "
        f"{cell.generators} generators, tested on {len(cell.fold.test)} images"
    )


def _forecasts(missing: Sequence[Cell], options: StudyOptions) -> Iterator[str]:
    """What the runs would take: a line for each model and settings."""
    alike: dict[tuple[str, str], list[Cell]] = {}
    for cell in missing:
        alike.setdefault((cell.model, json.dumps(dict(cell.settings), sort_keys=True)), []).append(cell)
    for (model, _), group in alike.items():
        yield next(forecast([cell.fold for cell in group], model, _training(group[0], options)))


def _values(workspace: Workspace, index: Index, cell: Cell, options: StudyOptions) -> list[StudyValue]:
    """Make a run and score its test images, as far as that is not done; its values."""
    run, detector = _trained(workspace, index, cell, options)
    evaluation = evaluate(run.folder, detector, index, cell.fold)
    scores = read_scores(run.folder, [evaluation])
    validation, test = (
        Part.of(scores.filter(pc.equal(scores.column("part").cast(pa.string()), part)))
        for part in ("validation", "test")
    )
    tested = generators_of(test, Thresholds.of(validation, test), repeat=False)
    return [
        StudyValue(
            series=cell.series,
            point=cell.point,
            repeat=cell.repeat,
            run=run.name,
            evaluation=evaluation,
            generators=cell.generators,
            images=cell.images,
            architecture=architecture,
            tested=number,
            metric=metric,
            value=value,
        )
        for architecture, metric, number, value in by_architecture(tested)
    ]


def _trained(
    workspace: Workspace, index: Index, cell: Cell, options: StudyOptions
) -> tuple[Run, ImageDetector | RowDetector]:
    """The finished run of a cell, trained where it is not, and its detector."""
    run = trained(workspace, index, cell.fold, cell.model, _training(cell, options))
    return run, load_shortcut(run) if run.recipe.model == SHORTCUT else load(run, options.device)


def _training(cell: Cell, options: StudyOptions) -> TrainOptions:
    return TrainOptions(
        settings=cell.settings,
        seed=cell.seed,
        device=options.device,
        endpoint=options.endpoint,
        token=options.token,
    )
