"""What detectors find on the matched subset of the workspace's manifest is kept for its card, and of no other one."""

import json
import shutil
from pathlib import Path

import numpy as np

from detectors.data.index import Index
from detectors.options import EvaluateOptions
from detectors.protocols.folds import folds
from detectors.results.auditing import MatchedImage, audits_folder
from detectors.results.evaluation import evaluate
from detectors.results.manifest_scores import write_manifest_scores
from detectors.results.table import update_results
from detectors.run import Run
from detectors.stage import evaluate_detector
from manifests.audit.detector_scores import detector_scores_path, read_detector_scores
from tests.detectors.conftest import Published
from tests.detectors.results.test_table import Fixed, recipe
from workspace import records
from workspace.layout import Workspace


def test_scores_on_the_matched_subset_of_the_manifest_as_it_is_are_kept(published: Published, tmp_path: Path) -> None:
    shutil.copytree(published.workspace.root, tmp_path / "workspace", symlinks=True)
    workspace = Workspace.open(tmp_path / "workspace")
    index = Index.open([], workspace)
    fold = folds(index, "split", 0)[0]
    evaluate_detector(workspace, "shortcut", EvaluateOptions())
    assert not detector_scores_path(workspace).exists()  # no image is matched yet
    tested = {label: fold.test[index.labels[fold.test] == label] for label in (0, 1)}
    hashes = index.table.column("sha256").to_pylist()
    pairs = [
        MatchedImage(pair=pair, label=label, sha256=hashes[tested[label][pair]])
        for pair in range(3)
        for label in (1, 0)
    ]
    records.write(audits_folder(workspace) / "pairs.parquet", MatchedImage, pairs)
    # A run that was trained on another state of this data has the same images in its test.
    other = Run.open(workspace, recipe(data={"workspace": "other"}))
    evaluate(other.folder, Fixed(np.ones(len(index))), index, fold)
    evaluate_detector(workspace, "shortcut", EvaluateOptions())
    (score,) = read_detector_scores(workspace).scores
    assert (score.detector.partition("-")[0], score.tested) == ("shortcut", "split, split")
    assert score.everything.generators == 2
    assert score.matched.generators in (1, 2)
    assert score.matched.value is not None
    before = detector_scores_path(workspace).read_bytes()
    write_manifest_scores(
        workspace, Index.open([str(published.folder / "viewer")], workspace), update_results(workspace)
    )
    assert detector_scores_path(workspace).read_bytes() == before
    written = json.loads(before)
    detector_scores_path(workspace).write_text(json.dumps({**written, "manifest": "0" * 64}))
    assert "is of another manifest" in str(read_detector_scores(workspace).left_out)
