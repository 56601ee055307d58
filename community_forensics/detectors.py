"""Training detectors on a dataset, judging them, and finding what they could cheat with, as functions."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from community_forensics.stages import WorkspaceLike, existing
from detectors.options import (
    AttributeOptions,
    AuditOptions,
    EvaluateOptions,
    ReportOptions,
    StudyOptions,
    TrainOptions,
)

if TYPE_CHECKING:
    from detectors.attribution.stage import Attribution
    from detectors.prediction import Prediction
    from detectors.reporting import Report
    from detectors.stage import Audited, Evaluated
    from detectors.studies.stage import StudyReport


def audit(workspace: WorkspaceLike, options: AuditOptions = AuditOptions()) -> "Audited":
    """Measure how well real and generated images of any data are told apart by facts of their files alone.

    The data is that of `options.data`, or the workspace's manifest. With `matched`, pairs of images with like files are
    chosen, and every detector is measured on them. `found.audit` of the result has the numbers, `lines()` says them in
    words.

    Raises `UsageError` for data that cannot be read, or packages that are not installed.

    Examples:
        >>> import community_forensics as cf
        >>> audited = cf.audit("workspace")
        >>> list(audited.found.data)
        ['workspace']
    """
    from detectors.stage import audit_data

    return audit_data(existing(workspace, create=bool(options.data)), options)


def train_detector(workspace: WorkspaceLike, model: str, options: TrainOptions = TrainOptions()) -> Iterator[str]:
    """Train a detector of the registry (`cf-vit-s-384`, `probe:ORG/NAME`, `tiny`, ...) under each fold of a protocol.

    A run that is finished is found, one that was interrupted is continued. Gives what is done, a line each, while it is
    done.

    Raises `UsageError` for an unknown model or setting, and for data that it cannot be trained on.

    Examples:
        >>> import community_forensics as cf
        >>> options = cf.TrainOptions(protocol="generator:2", kin="ignore", dry_run=True)
        >>> lines = list(cf.train_detector("workspace", "tiny", options))
    """
    from detectors.training.stage import train_folds

    return train_folds(existing(workspace, create=bool(options.data)), model, options)


def evaluate_detector(
    workspace: WorkspaceLike, detector: str, options: EvaluateOptions = EvaluateOptions()
) -> "Evaluated":
    """Score images with a run of the workspace, by its name, or with the model `shortcut`; `results` has the metrics.

    Raises `UsageError` for an unknown run, and for data that it cannot be tested on.

    Examples:
        >>> import community_forensics as cf
        >>> options = cf.EvaluateOptions(protocol="generator:2", kin="ignore", dry_run=True)
        >>> evaluated = cf.evaluate_detector("workspace", "shortcut", options)
        >>> len(evaluated.runs)
        2
    """
    from detectors.stage import evaluate_detector as run

    return run(existing(workspace, create=bool(options.data)), detector, options)


def predict(
    workspace: WorkspaceLike, run: str, files: Sequence[str | Path], device: str = "auto"
) -> "list[Prediction]":
    """What a trained detector says of image files: for each the probability that it is generated.

    Raises `UsageError` for an unknown or unfinished run. A file that cannot be read has no probability, and says why.

    Examples:
        >>> import community_forensics as cf
        >>> try:
        ...     predicted = cf.predict("workspace", "cf-vit-s-384-0123abcd", ["photo.jpg"])
        ... except cf.UsageError:
        ...     pass  # no such run was trained
    """
    from detectors.prediction import predict as predicted
    from detectors.run import Run

    found = Run.find(existing(workspace), run)
    return list(predicted(found, [Path(file) for file in files], device))


def study(workspace: WorkspaceLike, options: StudyOptions) -> "StudyReport":
    """Make the runs of one of the study's experiments that are not there yet; figures are on the page of
    `detector_report`.

    Raises `UsageError` for an unknown study, and for data that has too few generators for it.

    Examples:
        >>> import community_forensics as cf
        >>> options = cf.StudyOptions(study="generators", models=("tiny",), points=(1,), repeats=1, dry_run=True)
        >>> try:
        ...     made = cf.study("workspace", options)
        ... except cf.UsageError:
        ...     pass  # this dataset has no generators for testing
    """
    from detectors.studies.stage import make_study

    return make_study(existing(workspace, create=bool(options.data)), options)


def attribute(workspace: WorkspaceLike, run: str, options: AttributeOptions = AttributeOptions()) -> "Attribution":
    """Measure what the features of a run say of where an image is from: its architecture, its generator.

    Raises `UsageError` for an unknown or unfinished run, or other data than it was trained on.

    Examples:
        >>> import community_forensics as cf
        >>> try:
        ...     attribution = cf.attribute("workspace", "cf-vit-s-384-0123abcd")
        ... except cf.UsageError:
        ...     pass  # no such run was trained
    """
    from detectors.attribution.stage import attribute as measured

    return measured(existing(workspace), run, options)


def detector_report(workspace: WorkspaceLike, options: ReportOptions = ReportOptions()) -> "Report":
    """Compute the results of all runs, and write the page `report/detect.html`; returns its path and what is missing.

    Raises `UsageError` where no detector was evaluated and no data audited.

    Examples:
        >>> import community_forensics as cf
        >>> audited = cf.audit("workspace")
        >>> cf.detector_report("workspace").path.name
        'detect.html'
    """
    from detectors.reporting import write_report

    return write_report(existing(workspace), options)
