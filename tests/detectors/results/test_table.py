"""Results are functions of the scores: by generator against its pairs, means over generators, nothing averaged that is
undefined."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import average_precision_score

from detectors.data.hashes import hashes_of
from detectors.data.index import Index
from detectors.data.sources.source import GeneratorFacts
from detectors.metrics.measuring import GeneratorValues, Measure, Part, Thresholds, generators_of, summary
from detectors.pixels.transforms import parse_all
from detectors.protocols.folds import Fold, folds
from detectors.results.evaluation import PART_ROWS, evaluate
from detectors.results.scores import Score, read_scores, scores_folder, write_scores
from detectors.results.table import ALL_FOLDS, Matched, read_results, results_path, update_results
from detectors.run import Recipe, Run
from tests.detectors.worlds import MemorySource, generated, index_of, real
from tests.manifests.making import png
from workspace import records
from workspace.errors import CommunityForensicsError
from workspace.layout import Workspace
from workspace.shard import Shard


class Fixed:
    """A detector of rows whose logits are given."""

    def __init__(self, logits: np.ndarray) -> None:
        self.given, self.asked = logits.astype(np.float32), 0

    def logits_of_rows(self, index: Index, rows: np.ndarray) -> Any:
        self.asked += len(rows)
        return self.given[rows]


def recipe(**changes: Any) -> Recipe:
    values: dict[str, Any] = {"model": "tiny", "protocol": "split", "fold": "split", "rows": "", "data": {"world": "x"}}
    return Recipe(**{**values, "seed": 0, "steps": 1, "settings": {}, **changes})


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "workspace")


@pytest.fixture(scope="module")
def world() -> Index:
    """Four generators of two architectures with 30 images each, the last one without real images to pair."""
    photos = [real(n, real_source="a", split="test") for n in range(30)]
    held = [real(f"v{n}", split="validation") for n in range(10)]
    rows = [
        generated(f"g{g}", n, photos[n]["sha256"], split="test", architecture=("GAN", "LatDiff")[g // 2])
        for g in range(4)
        for n in range(30)
    ]
    rows += [generated("held", n, held[n]["sha256"], split="validation", architecture="GAN") for n in range(10)]
    return index_of(MemorySource([*rows, *photos, *held]))


def evaluated(workspace: Workspace, index: Index, logits: np.ndarray, **changes: Any) -> list[dict[str, Any]]:
    run = Run.open(workspace, recipe(**changes))
    evaluate(run.folder, Fixed(logits), index, folds(index, "split", 0)[0])
    rows: list[dict[str, Any]] = update_results(workspace).to_pylist()
    return rows


def one(rows: Sequence[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    found = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    assert len(found) == 1, found
    return found[0]


def test_a_generator_is_judged_against_the_real_images_of_its_pairs(workspace: Workspace, world: Index) -> None:
    logits = np.random.default_rng(0).normal(0, 1, len(world)) + world.labels
    rows = evaluated(workspace, world, logits)
    generators = np.array(world.table.column("generator").to_pylist())
    for name in ("g0", "g3"):
        mine = np.flatnonzero(generators == name)
        chosen = np.concatenate([mine, world.pairs[mine]])
        expected = average_precision_score(world.labels[chosen], logits[chosen].astype(np.float32))
        found = one(rows, scope="generator", name=name, metric="AP")
        assert found["value"] == pytest.approx(expected)
        assert found["lower"] < found["value"] < found["upper"]
        assert (found["n_real"], found["n_generated"]) == (30, 30)


def test_real_images_that_are_no_pairs_of_a_generator_do_not_count_for_it(workspace: Workspace) -> None:
    photos = [real(n, split="test") for n in range(20)]
    rows = [generated("few", n, photos[n]["sha256"], split="test") for n in range(5)]
    index = index_of(MemorySource([*rows, *photos]))
    logits = np.zeros(len(index))
    logits[5:10] = -1.0
    logits[10:] = 1.0
    found = one(evaluated(workspace, index, logits), scope="generator", name="few", metric="AUROC")
    assert (found["value"], found["n_real"], found["n_generated"]) == (1.0, 5, 5)


def test_a_real_image_that_several_images_of_a_generator_are_paired_with_counts_once() -> None:
    zeros = np.zeros(4, np.int32)
    own, pair = np.array([1, 2, 3, 9], np.uint64), np.array([9, 9, 9, 0], np.uint64)
    names = {"generator": ["g"], "architecture": ["GAN"], "dataset": ["d"]}
    logits = np.array([1, 2, 3, 0], np.float32)
    part = Part(np.array([1, 1, 1, 0], np.int8), logits, zeros, zeros, zeros, own, pair, names)
    (found,) = generators_of(part, Thresholds.of(part, part), repeat=False)
    assert (found.n_real, found.n_generated) == (1, 3)


def test_an_interval_is_of_the_images_of_each_generator_too() -> None:
    measure, repeated = Measure("AP"), np.linspace(0, 1, 200)
    alike = [GeneratorValues(name, "GAN", "d", 5, 5, {measure: 0.5}, {measure: repeated}) for name in "abc"]
    (mean,) = (value for value in summary(alike) if value.scope == "mean over generators")
    assert mean.lower is not None
    assert mean.upper is not None
    assert mean.lower < 0.3 < 0.7 < mean.upper


def test_means_are_over_generators_and_architectures_and_the_worst_one_is_named(
    workspace: Workspace, world: Index
) -> None:
    logits = np.random.default_rng(1).normal(0, 1, len(world)) + world.labels
    rows = evaluated(workspace, world, logits)
    values = {
        name: one(rows, scope="generator", name=name, metric="AUROC")["value"] for name in ("g0", "g1", "g2", "g3")
    }
    mean = one(rows, scope="mean over generators", metric="AUROC")
    assert mean["value"] == pytest.approx(np.mean(list(values.values())))
    assert mean["lower"] < mean["value"] < mean["upper"]
    assert mean["generators"] == 4
    gan, latent = (one(rows, scope="architecture", name=name, metric="AUROC")["value"] for name in ("GAN", "LatDiff"))
    assert gan == pytest.approx((values["g0"] + values["g1"]) / 2)
    assert one(rows, scope="mean over architectures", metric="AUROC")["value"] == pytest.approx((gan + latent) / 2)
    worst = one(rows, scope="worst generator", metric="AUROC")
    assert worst["value"] == min(values.values()) == values[worst["name"]]
    assert one(rows, scope="5 % quantile of generators", metric="AUROC")["value"] == pytest.approx(
        np.quantile(list(values.values()), 0.05)
    )


def test_thresholds_are_of_validation_and_the_oracle_is_marked(workspace: Workspace, world: Index) -> None:
    logits = np.where(world.labels == 1, 3.0, 2.0) + np.random.default_rng(2).normal(0, 0.01, len(world))
    rows = evaluated(workspace, world, logits)
    by_threshold = {
        row["threshold"]: row["value"]
        for row in rows
        if row["scope"] == "mean over generators" and row["metric"] == "balanced accuracy"
    }
    assert by_threshold["0.5"] == 0.5  # all are above 0
    assert by_threshold["calibrated"] == by_threshold["calibrated for 5 % FPR"] == by_threshold["oracle"] == 1.0
    used = one(rows, scope="images", metric="threshold", threshold="calibrated")["value"]
    assert 2.1 < used < 2.9


def test_an_undefined_metric_is_null_and_counted_and_not_averaged(workspace: Workspace) -> None:
    photos = [real(n, split="test") for n in range(5)]
    rows = [generated("with", n, photos[n]["sha256"], split="test") for n in range(5)]
    others = [generated("without", n, split="test") for n in range(5)]
    index = index_of(MemorySource([*rows, *photos], "first"), MemorySource(others, "second"))
    found = evaluated(workspace, index, np.where(index.labels == 1, 1.0, -1.0))
    assert one(found, scope="generator", name="without", metric="AP", dataset="second")["value"] is None
    recall = one(
        found, scope="generator", name="without", metric="accuracy of generated", threshold="0.5", dataset="second"
    )
    assert recall["value"] == 1.0
    mean = one(found, scope="mean over generators", metric="AP", dataset=None)
    assert (mean["value"], mean["generators"], mean["undefined"]) == (1.0, 1, 1)
    assert not [row for row in found if row["threshold"] == "calibrated"]  # no validation


def test_folds_of_one_detector_are_also_taken_together(workspace: Workspace, world: Index) -> None:
    logits = np.random.default_rng(3).normal(0, 1, len(world)) + world.labels
    for fold in folds(world, "generator:5", 0):
        run = Run.open(workspace, recipe(protocol="generator:5", fold=fold.name, rows=fold.name))
        evaluate(run.folder, Fixed(logits), world, fold)
    rows = update_results(workspace).to_pylist()
    together = one(rows, fold=ALL_FOLDS, scope="mean over generators", metric="AP")
    assert together["run"] is None
    assert together["generators"] == 5
    each = [row["value"] for row in rows if row["scope"] == "generator" and row["metric"] == "AP"]
    assert together["value"] == pytest.approx(np.mean(each))
    assert len({row["detector"] for row in rows}) == 1


def test_the_next_period_the_past_and_the_whole_are_apart(workspace: Workspace) -> None:
    photos = [real(n) for n in range(60)]
    facts = {f"g{g}": GeneratorFacts(created_at=f"2024-0{g + 1}-01") for g in range(5)}
    rows = [generated(f"g{g}", n, photos[n]["sha256"]) for g in range(5) for n in range(60)]
    index = index_of(MemorySource([*rows, *photos], facts=facts))
    fold = folds(index, "temporal:2", 0)[0]
    run = Run.open(workspace, recipe(protocol="temporal:2", fold=fold.name))
    evaluate(run.folder, Fixed(np.where(index.labels == 1, 1.0, -1.0)), index, fold)
    rows = update_results(workspace).to_pylist()
    counts = {
        row["part"]: row["generators"]
        for row in rows
        if row["scope"] == "mean over generators" and row["metric"] == "AP"
    }
    assert counts == {"test": 2, "later": 1, "seen": 1, "whole": 4}


def test_the_matched_subset_has_its_own_pairs_only(workspace: Workspace, world: Index) -> None:
    own = hashes_of(world.table.column("sha256"))
    fake = np.flatnonzero(world.labels == 1)[:30]
    logits = np.where(world.labels == 1, 1.0, -1.0)
    logits[world.pairs[fake[:10]]] = 2.0
    run = Run.open(workspace, recipe())
    evaluate(run.folder, Fixed(logits), world, folds(world, "split", 0)[0])
    matched = Matched(own[fake[:20]], own[world.pairs[fake[:20]]])
    rows = update_results(workspace, matched).to_pylist()
    found = one(rows, subset="matched", scope="mean over generators", metric="AUROC")
    assert (found["n_real"], found["n_generated"], found["value"]) == (20, 20, 0.5)
    assert one(rows, subset="all", scope="generator", name="g0", metric="AUROC")["value"] == pytest.approx(2 / 3)


def test_what_was_computed_from_the_same_scores_is_kept_and_of_more_scores_computed_again(
    workspace: Workspace, world: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = np.random.default_rng(4).normal(0, 1, len(world))
    evaluated(workspace, world, logits)
    first = results_path(workspace).read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr("detectors.results.table.results_of", None)
        update_results(workspace)
    assert results_path(workspace).read_bytes() == first
    evaluated(workspace, world, -logits, seed=1)
    assert len(set(read_results(workspace).column("detector").to_pylist())) == 2


def test_a_bootstrap_depends_on_the_generator_and_not_on_the_others(workspace: Workspace, world: Index) -> None:
    logits = np.random.default_rng(5).normal(0, 1, len(world))
    rows = evaluated(workspace, world, logits)
    fold = folds(world, "split", 0)[0]
    generators = np.array([str(name) for name in world.table.column("generator").to_pylist()])
    kept = fold.test[(world.labels[fold.test] == 0) | (generators[fold.test] == "g1")]
    run = Run.open(workspace, recipe(seed=2))
    evaluate(run.folder, Fixed(logits), world, replace(fold, test=kept))
    alone = [row for row in update_results(workspace).to_pylist() if row["run"] == run.name]
    wanted = {"scope": "generator", "name": "g1", "metric": "AUROC"}
    assert all(one(alone, **wanted)[name] == one(rows, **wanted)[name] for name in ("value", "lower", "upper"))


class Mean:
    """A detector of pixels: how bright an image is."""

    def logits(self, images: Sequence[Any]) -> Any:
        return np.array([image.mean() - 128 for image in images], np.float32)


@pytest.fixture(scope="module")
def pictures() -> Index:
    """Images that exist, one of which is damaged and one gone."""
    rows = [generated("g", n, real(n)["sha256"]) for n in range(6)] + [real(n) for n in range(6)]
    files = {row["locator"] + ".png": png(number) for number, row in enumerate(rows)}
    rows = [{**row, "locator": row["locator"] + ".png"} for row in rows]
    files[rows[2]["locator"]] = b"damaged"
    del files[rows[7]["locator"]]
    return index_of(MemorySource(rows, files=files))


def test_scores_are_by_image_in_any_batch_and_an_unreadable_image_has_none(tmp_path: Path, pictures: Index) -> None:
    rows = np.arange(len(pictures))
    fold = Fold("f", rows[:0], rows[:0], rows)
    tables = []
    for batch in (1, 5):
        evaluate(tmp_path / str(batch), Mean(), pictures, fold, parse_all(["jpeg=50"]), batch=batch)
        tables.append(read_scores(tmp_path / str(batch)))
    assert tables[0].equals(tables[1])
    unchanged = [row for row in tables[0].to_pylist() if row["transform"] == "none"]
    assert [row["sha256"] for row in unchanged] == pictures.hashes("sha256").tolist()
    assert [place for place, row in enumerate(unchanged) if row["logit"] is None] == [2, 7]
    assert set(pictures.unread) == {2, 7}
    pixels = dict(zip(rows.tolist(), (image for _, image in _decoded(pictures, rows)), strict=True))
    assert unchanged[0]["logit"] == pytest.approx(pixels[0].mean() - 128)
    assert unchanged[0]["pair"] == unchanged[6]["sha256"]
    compressed = [row for row in tables[0].to_pylist() if row["transform"] == "jpeg"]
    assert {row["strength"] for row in compressed} == {50.0}
    assert compressed[0]["logit"] != unchanged[0]["logit"]


def _decoded(index: Index, rows: np.ndarray) -> Any:
    from detectors.data.images import read

    return read(index, rows)


def test_an_evaluation_goes_on_where_it_was_ended_and_shards_share_it(tmp_path: Path) -> None:
    photos = [real(n) for n in range(PART_ROWS)]
    index = index_of(MemorySource([*photos, *(generated("g", n) for n in range(2 * PART_ROWS))]))
    rows = np.arange(len(index))
    fold = Fold("f", rows[:0], rows[:0], rows)
    detector = Fixed(np.zeros(len(index)))
    name = evaluate(tmp_path, detector, index, fold, shard=Shard(2, 3))
    assert detector.asked == PART_ROWS
    parts = sorted((scores_folder(tmp_path) / name).glob("*.parquet"))
    assert len(parts) == 1
    evaluate(tmp_path, detector, index, fold)
    assert detector.asked == len(index)
    parts = sorted((scores_folder(tmp_path) / name).glob("*.parquet"))
    parts[0].unlink()
    evaluate(tmp_path, detector, index, fold)
    assert detector.asked == len(index) + PART_ROWS
    assert read_scores(tmp_path).column("sha256").to_pylist() == index.hashes("sha256").tolist()
    assert len(read_scores(tmp_path, [name])) == len(index)
    assert len(read_scores(tmp_path, [])) == 0


def test_another_fold_is_another_evaluation(tmp_path: Path, world: Index) -> None:
    names = {
        evaluate(tmp_path, Fixed(np.zeros(len(world))), world, fold)
        for seed in (0, 1)
        for fold in folds(world, "generator:2", seed, "ignore")
    }
    assert len(names) == 4


def test_a_logit_that_is_not_finite_ends_the_evaluation(tmp_path: Path, world: Index) -> None:
    logits = np.zeros(len(world))
    logits[3] = np.inf
    with pytest.raises(CommunityForensicsError, match="logits that are not finite"):
        evaluate(tmp_path, Fixed(logits), world, folds(world, "split", 0)[0])


def test_a_detector_of_rows_has_no_robustness(tmp_path: Path, world: Index) -> None:
    with pytest.raises(CommunityForensicsError, match="reads no pixels"):
        evaluate(tmp_path, Fixed(np.zeros(len(world))), world, folds(world, "split", 0)[0], parse_all(["jpeg=50"]))


def test_other_columns_are_no_scores(tmp_path: Path) -> None:
    with pytest.raises((pa.ArrowInvalid, KeyError, ValueError)):
        write_scores(tmp_path / "x.parquet", pa.table({"logit": [1.0]}))
    assert records.schema(Score).field("logit").nullable
