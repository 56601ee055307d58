"""Studies on the fingerprint world, from the command line to the page: real files, features and runs."""

import numpy as np
import pytest
from typer.testing import CliRunner

from detectors.attribution.stage import attribute
from detectors.commands import study as command
from detectors.options import AttributeOptions, EvaluateOptions, StudyOptions
from detectors.results.table import update_results
from detectors.run import runs
from detectors.stage import evaluate_detector
from detectors.studies.curves import Curve, curves
from detectors.studies.stage import StudyReport, make_study, studies
from tests.detectors.fingerprints import shuffled, world, write, write_table
from tests.scale import scaled
from workspace import command_line
from workspace.errors import UsageError
from workspace.layout import Workspace

POINTS = scaled((1, 30), (1, 2, 4, 8, 16, 30))
REPEATS = scaled(2, 10)
SHUFFLES = scaled(1, 20)
MODEL = "probe:spectrum"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return world()


@pytest.fixture(scope="module")
def table(made, tmp_path_factory):
    return write(made, tmp_path_factory.mktemp("fingerprints") / "data")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Features are kept there, so that images are decoded once for all tests."""
    return Workspace.open(tmp_path_factory.mktemp("study") / "workspace")


def asked(table, **more) -> StudyOptions:
    numbers = {
        "study": "generators",
        "points": POINTS,
        "repeats": REPEATS,
        "models": (MODEL,),
        "settings": {"c": "0.01"},
    }
    return StudyOptions(**{**numbers, "data": (str(table),), **more})


@pytest.fixture(scope="module")
def finished(workspace, table) -> StudyReport:
    return make_study(workspace, asked(table))


def curve_of(report: StudyReport, metric: str = "mAP", architecture: str = "all") -> Curve:
    (curve,) = (
        curve for curve in curves(report.study.values) if (curve.metric, curve.architecture) == (metric, architecture)
    )
    return curve


def test_scores_rise_with_the_number_of_training_generators(finished):
    curve = curve_of(finished)
    assert (curve.points, set(curve.repeats)) == (POINTS, {REPEATS})
    assert curve.means[-1] - curve.means[0] > 0.10
    for step in range(len(POINTS) - 1):
        slack = (curve.errors[step] or 0) + (curve.errors[step + 1] or 0)
        assert curve.means[step + 1] > curve.means[step] - slack
    # Of every family there are generators in the test.
    assert len({curve.architecture for curve in curves(finished.study.values)}) == 6


def test_shuffled_labels_give_chance(workspace, made, table):
    means = []
    for seed in range(SHUFFLES):
        # The features of an image do not depend on what is said of it, so they are not computed again.
        other = write_table(shuffled(made, seed), table.with_name(f"shuffled-{seed}.csv"))
        report = make_study(workspace, asked(other, points=(POINTS[-1],), repeats=1))
        means.append(curve_of(report).means[0])
    assert np.mean(means) == pytest.approx(0.5, abs=0.03)


def test_facts_of_the_files_tell_nothing(workspace, table):
    report = make_study(workspace, asked(table, models=("shortcut",), points=(POINTS[-1],), repeats=1, settings={}))
    for metric in ("mAP", "accuracy"):
        assert curve_of(report, metric).means[0] == pytest.approx(0.5, abs=0.03)


def test_what_is_done_is_found_and_what_is_missing_is_made_from_its_run(finished, workspace, table):
    before = {path: path.stat().st_mtime_ns for path in workspace.detect.rglob("*") if path.is_file()}
    again = make_study(workspace, asked(table))
    assert (again.done, again.runs) == (len(POINTS) * REPEATS,) * 2
    assert {path: path.stat().st_mtime_ns for path in workspace.detect.rglob("*") if path.is_file()} == before
    lost = sorted((finished.study.folder / "values").glob("*.parquet"))[3]
    content = lost.read_bytes()
    lost.unlink()
    planned = make_study(workspace, asked(table, dry_run=True))
    assert planned.done == planned.runs - 1
    assert not lost.exists()
    make_study(workspace, asked(table))
    assert lost.read_bytes() == content


def test_shards_share_the_runs_and_more_repeats_belong_to_the_same_study(workspace, table):
    few = asked(table, points=(1, 2), repeats=2, settings={"c": "0.001"})
    first = make_study(workspace, StudyOptions(**{**vars(few), "shard": "1/2"}))
    assert (first.done, first.runs) == (2, 4)
    second = make_study(workspace, StudyOptions(**{**vars(few), "shard": "2/2"}))
    assert second.done == 4
    more = make_study(workspace, StudyOptions(**{**vars(few), "repeats": 3, "dry_run": True}))
    assert more.study == first.study
    assert (more.done, more.runs) == (4, 6)


def test_runs_of_a_study_are_runs_as_others_but_no_detectors_of_their_own_in_the_results(finished, workspace):
    own = [run for run in runs(workspace) if run.recipe.model == MODEL]
    assert len(own) >= len(POINTS) * REPEATS
    assert all(run.is_finished for run in own)
    assert len(update_results(workspace)) == 0
    assert finished.study in studies(workspace)


def test_a_run_of_a_study_is_evaluated_and_attributed_as_a_detector_of_its_own(finished, workspace, table):
    value = next(value for value in finished.study.values if (value.metric, value.architecture) == ("mAP", "all"))
    evaluated = evaluate_detector(workspace, value.run, EvaluateOptions(data=(str(table),), device="cpu"))
    (mean,) = (
        row["value"]
        for row in evaluated.results.to_pylist()
        if (row["scope"], row["metric"], row["detector"]) == ("mean over generators", "AP", value.run)
    )
    assert mean == pytest.approx(value.value)
    again = EvaluateOptions(data=(str(table),), device="cpu", seed=1, transforms=("jpeg=75",), dry_run=True)
    assert " scores to compute: about " in "".join(evaluate_detector(workspace, value.run, again).about)
    about = attribute(workspace, value.run, AttributeOptions(data=(str(table),), dry_run=True)).about
    assert "compared with " in about[0]
    kept = next(run for run in runs(workspace) if run.name == value.run).folder / "fold.parquet"
    content = kept.read_bytes()
    kept.unlink()
    with pytest.raises(UsageError, match="run the `cf-detect study` again"):
        attribute(workspace, value.run, AttributeOptions(data=(str(table),), dry_run=True))
    kept.write_bytes(content)


def test_the_command_says_what_it_would_do_and_what_was_found(finished, workspace, table):
    app = command_line.command_group("test")
    command.register(app)
    words = ["study", "generators", "--data", str(table), "--model", MODEL, "--set", "c=0.01"]
    words += ["--points", ",".join(map(str, POINTS)), "--repeats", str(REPEATS), "--workspace", str(workspace.root)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert f"{len(POINTS) * REPEATS} of {len(POINTS) * REPEATS} runs" in done.output
    assert f"{MODEL}, all at 30: mAP" in done.output
    more = CliRunner().invoke(app, [*words[:-4], "--repeats", "11", "--dry-run", *words[-2:], "--points", "1"])
    assert more.exit_code == 0, more.output
    assert (
        "would train probe:spectrum for probe:spectrum at 1, repeat 11: 20 generated images of 1 generators"
        in more.output
    )
