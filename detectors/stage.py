"""Evaluating a run or a model: the index, the folds, the scores and the results."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detectors.data.index import Index, Rows
from detectors.data.kin import Kin
from detectors.kept_fold import kept_fold
from detectors.models.registry import resolve
from detectors.models.shortcut import NAME as SHORTCUT
from detectors.models.shortcut import load_shortcut, train_shortcut
from detectors.options import AuditOptions, EvaluateOptions
from detectors.pixels.transforms import Transform, parse_all
from detectors.protocols.folds import Fold, folds
from detectors.results.auditing import DataAudit, audit_index, lines_of, read_matched
from detectors.results.evaluation import ImageDetector, RowDetector, evaluate
from detectors.results.forecast import forecast
from detectors.results.manifest_scores import write_manifest_scores
from detectors.results.scores import UNCHANGED
from detectors.results.table import ALL_FOLDS, results_path, update_results
from detectors.run import Recipe, Run
from workspace.errors import UsageError
from workspace.extras import require_extra
from workspace.layout import Workspace
from workspace.shard import Shard


@dataclass(frozen=True)
class Evaluated:
    """What was evaluated, and the rows of the results that it has; on one of several shards, or where nothing was done,
    none."""

    runs: Sequence[Run]
    about: Sequence[str]
    """What the user must know of the images."""
    results: pa.Table | None
    path: Path

    def lines(self) -> Iterator[str]:
        """What was found, for the terminal."""
        yield from self.about
        if self.results is None:
            return
        for row in self.results.to_pylist():
            if row["scope"] == "mean over generators" and row["metric"] in _SAID and row["threshold"] in (None, "0.5"):
                yield f"{row['fold']}, {_named(row)}: {row['metric']} {_value(row)}"
        yield f"results: {self.path}"


_SAID = ("AP", "AUROC", "balanced accuracy", "TPR at 5% FPR")


def _named(row: dict[str, object]) -> str:
    transform = row["transform"] if row["strength"] is None else f"{row['transform']}={row['strength']:g}"
    said = [str(row["part"]), *([] if row["dataset"] is None else [str(row["dataset"])])]
    return ", ".join([*said, *([] if transform == UNCHANGED else [str(transform)])])


def _value(row: dict[str, object]) -> str:
    over = f"mean over {row['generators']} generators"
    if row["value"] is None:
        return f"undefined for all {row['undefined']} generators"
    interval = "" if row["lower"] is None else f", 95 % interval {row['lower']:.3f} to {row['upper']:.3f}"
    left_out = f"; undefined for {row['undefined']} more" if row["undefined"] else ""
    return f"{row['value']:.3f} ({over}{interval}{left_out})"


def evaluate_detector(workspace: Workspace, name: str, options: EvaluateOptions) -> Evaluated:
    """Score the test images of a run, or of the model `shortcut` under each fold of a protocol, and update the results.

    With other data than that of the run, all of its images are the test. Raises `UsageError` for an unknown run, data
    that it cannot be tested on, or unknown transforms.
    """
    require_extra("detect", "cf-detect evaluate")
    shard, transforms = Shard.parse(options.shard), parse_all(options.transforms)
    index = Index.open(options.data, workspace, options.hub)
    if name == SHORTCUT:
        made = folds(index, options.protocol, options.seed, options.kin)
        jobs = [(_shortcut_run(workspace, index, fold, options), fold) for fold in made]
    else:
        jobs = [(run, fold_of(run, index)) for run in Run.find_folds(workspace, name)]
    if len(transforms) > 1 and any(run.recipe.model == SHORTCUT for run, _ in jobs):
        raise UsageError("--transform: shortcut reads no pixels, so that nothing is changed for it: leave it out")
    about = [*index.notes(), *(line for _, fold in jobs for line in _about(index, fold, transforms))]
    runs = [run for run, _ in jobs]
    if options.dry_run:
        for run, fold in jobs:
            about.append(forecast(run.folder, _measured(run, options), index, fold, transforms, shard, options.batch))
        return Evaluated(runs, about, None, results_path(workspace))
    for run, fold in jobs:
        detector = _detector(run, index, fold, options)
        evaluate(run.folder, detector, index, fold, transforms, shard, options.batch)
    about += index.unread_lines()
    if shard.count > 1:
        about.append("other shards may be at work: `cf-detect report` computes the results when all are done")
        return Evaluated(runs, about, None, results_path(workspace))
    results = update_results(workspace, read_matched(workspace), options.real)
    write_manifest_scores(workspace, index, results)
    results = results.filter(pc.equal(results.column("subset").cast(pa.string()), "all"))
    ours = pc.is_in(results.column("run").cast(pa.string()), pa.array([run.name for run in runs]))
    detectors = pc.unique(results.filter(ours).column("detector").cast(pa.string()))
    together = pc.and_(
        pc.equal(results.column("fold").cast(pa.string()), ALL_FOLDS),
        pc.is_in(results.column("detector").cast(pa.string()), detectors),
    )
    found = results.filter(pc.or_(ours, together if len(runs) > 1 else pa.scalar(False)))
    return Evaluated(runs, about, found, results_path(workspace))


@dataclass(frozen=True)
class Audited:
    """What an audit found, and the AP of each detector on the matched subset, in words."""

    about: Sequence[str]
    found: DataAudit
    matched: Sequence[str]

    def lines(self) -> Iterator[str]:
        """What was found, for the terminal."""
        yield from (*self.about, *lines_of(self.found), *self.matched)


def audit_data(workspace: Workspace, options: AuditOptions) -> Audited:
    """Audit images, and with `options.matched` measure every detector on the matched subset. Raises as `Index.open`."""
    require_extra("audit", "cf-detect audit")
    index = Index.open(options.data, workspace, options.hub)
    found = audit_index(workspace, index, options.matched)
    matched = []
    if options.matched and results_path(workspace).exists():
        results = update_results(workspace, read_matched(workspace))
        write_manifest_scores(workspace, index, results)
        matched = [
            f"{row['detector']} on the matched subset, {row['fold']}, {_named(row)}: AP {_value(row)}"
            for row in results.to_pylist()
            if row["subset"] == "matched" and row["scope"] == "mean over generators" and row["metric"] == "AP"
        ]
    return Audited(list(index.notes()), found, matched)


def fold_of(run: Run, index: Index) -> Fold:
    """The fold by which a run is tested: its own, on the images that it was made from; on others, all that are not of
    its training data.

    Raises `UsageError` where the images of a source have changed since.
    """
    recipe, digests = run.recipe, index.digests
    known = {name for name, digest in digests.items() if recipe.data.get(name) == digest}
    if known == set(digests) == set(recipe.data):
        if recipe.is_of_study:
            return kept_fold(run, index)
        for kin in _KIN:
            fold = folds(index, recipe.protocol, recipe.seed, kin).named(recipe.fold)
            if fold.digest(index) == recipe.rows:
                return fold
        raise UsageError(
            f"{run.name} was trained on other images of this data: name the same sources in the same order"
        )
    changed = sorted(set(recipe.data) & set(digests) - known)
    if changed:
        raise UsageError(
            f"{run.name}: the images of {', '.join(changed)} are others than those that it was trained on; train it "
            "again, or name data that it was not trained on"
        )
    datasets, names = index.codes("dataset")
    others = [code for code, name in enumerate(names) if name not in known]
    rows: Rows = np.flatnonzero(np.isin(datasets, others))
    none = np.empty(0, np.int64)
    return Fold("all", none, none, rows, protocol="cross")


_KIN: tuple[Kin, ...] = ("exclude", "ignore")


def _shortcut_run(workspace: Workspace, index: Index, fold: Fold, options: EvaluateOptions) -> Run:
    recipe = Recipe(
        model=SHORTCUT,
        protocol=options.protocol,
        fold=fold.name,
        rows=fold.digest(index),
        data=index.digests,
        seed=options.seed,
        steps=0,
        settings=resolve(SHORTCUT, {}).settings,
    )
    if options.dry_run:
        return Run(workspace.detect / recipe.name, recipe)
    return Run.open(workspace, recipe)


def _detector(run: Run, index: Index, fold: Fold, options: EvaluateOptions) -> ImageDetector | RowDetector:
    if run.recipe.model != SHORTCUT:
        from detectors.models.detector import load

        return load(run, options.device)
    if not run.is_finished:
        train_shortcut(run, index, fold)
    return load_shortcut(run)


def _measured(run: Run, options: EvaluateOptions) -> ImageDetector | None:
    """What computes as long as a run's detector: itself, or where it is not trained yet a network with random weights;
    None: nothing does."""
    from detectors.models.detector import load, untrained

    if run.recipe.model == SHORTCUT:
        return None
    return load(run, options.device) if run.is_finished else untrained(run, options.device)


def _about(index: Index, fold: Fold, transforms: Sequence[Transform]) -> Iterator[str]:
    yield from fold.lines(index)
    tested = sum(len(rows) for rows in (fold.test, fold.later, fold.seen))
    scores = tested * len(transforms) + len(fold.validation)
    under = "" if len(transforms) == 1 else f", each under {len(transforms)} transforms"
    yield f"{fold.name}: {scores:,} scores, of {tested:,} test images{under}, and of {len(fold.validation):,} others"
