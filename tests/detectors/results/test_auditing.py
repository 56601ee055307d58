"""The audit of any data, and the detector that looks at no pixel: both find a planted shortcut, and none where files
are alike."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors.data.file_facts import vocabulary_of
from detectors.data.index import Index
from detectors.models.shortcut import load_shortcut, train_shortcut
from detectors.options import AuditOptions, EvaluateOptions
from detectors.protocols.folds import folds
from detectors.results.auditing import audit_index, audits_folder, lines_of, read_audits, read_matched
from detectors.results.table import read_results
from detectors.run import Run, runs
from detectors.stage import audit_data, evaluate_detector, fold_of
from manifests.audit.record import ALL_FACTS, WARNED
from tests.detectors.results.test_table import recipe
from tests.detectors.worlds import MemorySource, generated, index_of, real
from workspace.errors import UsageError
from workspace.layout import Workspace

CHANCE = np.random.default_rng(0)
PNG = {"format": "PNG", "has_exif": False, "has_icc": False, "mode": "RGB"}
JPEG = {**PNG, "format": "JPEG", "jpeg_quality": 95, "chroma_subsampling": "4:2:0", "progressive": False}


def size() -> int:
    return int(np.exp(CHANCE.normal(10, 0.3)))


def planted(real_facts: dict[str, Any], name: str = "planted", images: int = 30) -> MemorySource:
    """Ten generators of PNG files, and as many photographs with these facts."""
    rows = [generated(f"g{g}", n, file_size=size(), **PNG) for g in range(10) for n in range(images)]
    rows += [real((name, n), file_size=size(), **real_facts) for n in range(10 * images)]
    return MemorySource(rows, name)


@pytest.fixture(scope="module")
def all_jpeg() -> Index:
    return index_of(planted(JPEG))


@pytest.fixture(scope="module")
def alike() -> Index:
    return index_of(planted(PNG, "alike"))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "workspace")


def test_real_images_that_are_all_jpeg_are_found_named_and_warned_of(workspace: Workspace, all_jpeg: Index) -> None:
    audit = audit_index(workspace, all_jpeg)
    assert audit.audit.findings.together is not None
    assert audit.audit.findings.together.auroc_low > 0.95
    assert audit.audit.findings.generators == 10  # what is held out together
    lines = list(lines_of(audit))
    assert any(line.startswith("planted: warning") and "format 1.00" in line for line in lines)
    assert read_audits(workspace) == [audit]


def test_where_files_are_alike_the_audit_is_at_chance(workspace: Workspace, alike: Index) -> None:
    together = audit_index(workspace, alike).audit.findings.together
    assert together is not None
    assert together.name == ALL_FACTS
    assert together.auroc < WARNED
    assert together.auroc_low <= 0.5 <= together.auroc_high


def test_audits_of_several_data_are_kept_and_a_damaged_one_is_left_out(
    workspace: Workspace, all_jpeg: Index, alike: Index
) -> None:
    first, second = (audit_index(workspace, index) for index in (all_jpeg, alike))
    assert read_audits(workspace) == [second, first]
    (audits_folder(workspace) / "other.json").write_text("{}")
    (audits_folder(workspace) / f"{alike.sha256[:12]}.json").write_text("[")
    assert read_audits(workspace) == [first]


def test_the_matched_subset_is_at_chance_and_each_detector_is_measured_on_it(
    workspace: Workspace, all_jpeg: Index
) -> None:
    rows = [*planted(JPEG).rows, *(real(("like", n), file_size=size(), **PNG) for n in range(300))]
    index = index_of(MemorySource(rows, "mixed"))
    audit = audit_index(workspace, index, matched=True).audit
    assert audit.findings.together is not None
    assert audit.findings.together.auroc > 0.7
    assert audit.matched is not None
    assert audit.matched.findings.together is not None
    assert audit.matched.findings.generators == 10
    assert audit.matched.findings.together.auroc_low <= 0.5 <= audit.matched.findings.together.auroc_high
    pairs = read_matched(workspace)
    assert pairs is not None
    assert len(pairs.generated) == len(pairs.real) == audit.matched.pairs > 200
    facts = dict(zip(index.hashes("sha256").tolist(), index.table.column("format").to_pylist(), strict=True))
    assert {facts[key] for key in pairs.real.tolist()} == {"PNG"}
    audit_index(workspace, index)
    assert read_matched(workspace) is None


@pytest.fixture
def trained(workspace: Workspace, all_jpeg: Index) -> Run:
    fold = folds(all_jpeg, "generator:2", 0)[0]
    run = Run.open(workspace, recipe(model="shortcut", rows=fold.digest(all_jpeg)))
    train_shortcut(run, all_jpeg, fold)
    return run


def test_the_shortcut_tells_planted_files_apart_and_alike_ones_not(
    workspace: Workspace, trained: Run, all_jpeg: Index, alike: Index
) -> None:
    test = folds(all_jpeg, "generator:2", 0)[0].test
    logits = load_shortcut(trained).logits_of_rows(all_jpeg, test)
    assert logits[all_jpeg.labels[test] == 1].min() > 0 > logits[all_jpeg.labels[test] == 0].max()
    fold = folds(alike, "generator:2", 0)[0]
    run = Run.open(workspace, recipe(model="shortcut", fold="1/2"))
    train_shortcut(run, alike, fold)
    logits = load_shortcut(run).logits_of_rows(alike, fold.test)
    labels = alike.labels[fold.test]
    ranks = (logits[labels == 1][:, None] > logits[labels == 0]).mean()
    assert 0.4 < ranks < 0.6


def test_a_shortcut_that_is_loaded_gives_the_same_logits(trained: Run, all_jpeg: Index) -> None:
    rows = np.arange(len(all_jpeg))
    first, second = (load_shortcut(trained).logits_of_rows(all_jpeg, rows) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert load_shortcut(trained).logits_of_rows(all_jpeg, rows[::-1]).tobytes() == first[::-1].tobytes()


def test_a_fact_that_is_unknown_of_a_class_is_left_out_and_said() -> None:
    rows = [generated("g", n, file_size=size(), **PNG) for n in range(10)]
    rows += [real(n, **{**PNG, "has_exif": None}) for n in range(10)]
    vocabulary, left_out = vocabulary_of(index_of(MemorySource(rows)), np.arange(20))
    assert "format" in vocabulary.facts
    assert left_out["EXIF data"] == "unknown for 100% of the real and 0% of the generated images"
    assert "file size" in left_out


def test_formats_that_training_did_not_see_do_not_stop_the_shortcut(trained: Run) -> None:
    index = index_of(MemorySource([generated("new", 0, format="WEBP", mode="P"), real(0)]))
    assert np.isfinite(load_shortcut(trained).logits_of_rows(index, np.arange(2))).all()


def test_training_with_one_class_is_refused(workspace: Workspace, all_jpeg: Index) -> None:
    fold = folds(all_jpeg, "generator:2", 0)[0]
    run = Run.open(workspace, recipe(model="shortcut"))
    only = fold.train[all_jpeg.labels[fold.train] == 1]
    with pytest.raises(UsageError, match="has no real images"):
        train_shortcut(run, all_jpeg, type(fold)("f", only, only[:0], only[:0]))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .csv of images that exist: photographs in JPEG, generated ones in PNG."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("data")
    lines = ["path,label,generator"]
    for number in range(24):
        pixels = CHANCE.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        real_one = number % 2
        name = f"{number}.{'jpg' if real_one else 'png'}"
        Image.fromarray(pixels).save(folder / name)
        lines.append(f"{name},{1 - real_one},{'' if real_one else f'g{number % 3}'}")
    (folder / "planted.csv").write_text("\n".join(lines))
    return folder / "planted.csv"


def test_the_shortcut_is_evaluated_on_every_fold_and_found_again(workspace: Workspace, data: Path) -> None:
    options = EvaluateOptions(data=(str(data),), protocol="generator:3")
    dry = evaluate_detector(
        workspace, "shortcut", EvaluateOptions(data=(str(data),), protocol="generator:3", dry_run=True)
    )
    assert dry.results is None
    assert not runs(workspace)
    assert any("scores, of" in line for line in dry.lines())
    done = evaluate_detector(workspace, "shortcut", options)
    assert len(runs(workspace)) == 3
    values = [
        row["value"]
        for row in read_results(workspace).to_pylist()
        if row["scope"] == "mean over generators" and row["metric"] == "AP"
    ]
    assert values == [1.0] * 4  # three folds, and all together
    assert any("AP 1.000" in line for line in done.lines())
    again = evaluate_detector(workspace, "shortcut", options)
    assert [run.name for run in again.runs] == [run.name for run in done.runs]
    assert len(runs(workspace)) == 3


def test_a_run_is_tested_on_its_own_fold_and_on_all_of_other_data(
    workspace: Workspace, all_jpeg: Index, alike: Index
) -> None:
    fold = folds(all_jpeg, "generator:2", 0)[1]
    made = recipe(
        model="shortcut", protocol="generator:2", fold="2/2", rows=fold.digest(all_jpeg), data=all_jpeg.digests
    )
    run = Run.open(workspace, made)
    np.testing.assert_array_equal(fold_of(run, all_jpeg).test, fold.test)
    assert len(fold_of(run, alike).test) == len(alike)
    both = index_of(planted_again(all_jpeg), planted_again(alike))
    assert len(fold_of(run, both).test) == len(alike)
    changed = index_of(MemorySource([*planted_again(all_jpeg).rows[:-1]], "planted"))
    with pytest.raises(UsageError, match="the images of planted are others than those that it was trained on"):
        fold_of(run, changed)


def planted_again(index: Index) -> Any:
    (source,) = index.sources.values()
    return source


def test_an_audit_of_files_says_what_it_found_of_the_pixels_too(workspace: Workspace, data: Path) -> None:
    done = audit_data(workspace, AuditOptions(data=(str(data),), matched=True))
    assert done.found.audit.findings.pictures == (12, 12)
    assert any(line.startswith("planted: warning") for line in done.lines())
    assert any("matched subset: 0 pairs" in line for line in done.lines())
