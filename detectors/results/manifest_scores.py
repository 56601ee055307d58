"""What the dataset's card says of detectors: those that were trained on the workspace's manifest as it is, by their
scores on all images and on the matched subset."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from detectors.data.index import Index
from detectors.data.sources.workspace_source import WorkspaceSource
from detectors.results.scores import UNCHANGED
from detectors.run import runs
from manifests.audit.detector_scores import DetectorScore, MeanPrecision, write_detector_scores
from workspace.layout import Workspace

_CHOSEN = {
    "scope": "mean over generators",
    "metric": "AP",
    "part": "test",
    "transform": UNCHANGED,
    "real": "paired",
}


def write_manifest_scores(workspace: Workspace, index: Index, results: pa.Table) -> None:
    """Write the scores on the workspace's manifest, where it is in the index and detectors have some on its matched
    subset. Folds that are taken together stand for each of them."""
    own = [name for name, source in index.sources.items() if _is_of(source, workspace)]
    if not own:
        return
    (dataset,) = own
    digest = index.digests[dataset]
    trained = {
        run.name for run in runs(workspace) if run.recipe.data.get(dataset) == digest and not run.recipe.is_of_study
    }
    for name, value in {**_CHOSEN, "dataset": dataset}.items():
        results = results.filter(pc.equal(results.column(name).cast(pa.string()), value))
    rows = results.to_pylist()
    detectors = {row["detector"] for row in rows if row["run"] in trained}
    together = {(row["detector"], row["protocol"]) for row in rows if row["run"] is None}
    found: dict[tuple[str, str, str], dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        several = (row["detector"], row["protocol"]) in together
        if row["detector"] in detectors and (row["run"] is None) == several:
            key = (row["detector"], row["protocol"], row["fold"])
            found.setdefault(key, {})[row["subset"]] = row
    scores = [
        DetectorScore(detector, f"{protocol}, {fold}", _mean(of["all"]), _mean(of["matched"]))
        for (detector, protocol, fold), of in sorted(found.items())
        if "matched" in of
    ]
    if scores:
        write_detector_scores(workspace, scores)


def _is_of(source: object, workspace: Workspace) -> bool:
    return isinstance(source, WorkspaceSource) and source.workspace.root == workspace.root


def _mean(row: Mapping[str, Any]) -> MeanPrecision:
    return MeanPrecision(row["value"], row["lower"], row["upper"], row["generators"])
