"""How well detectors find generators of a manifest that they never saw, on all images and on the matched subset: what
`cf-detect` found, in `detect/manifest_scores.json`, for the dataset's card.

The file names the sha256 of the manifest that it belongs to, so that scores on another one are never shown.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from manifests.manifest import manifest_path
from workspace.atomic import write_json
from workspace.errors import in_one_line
from workspace.identity import sha256_of_file
from workspace.layout import Workspace
from workspace.number_text import counted


@dataclass(frozen=True)
class MeanPrecision:
    """The mean of the average precisions of the tested generators, each against real images of equal weight, so that
    one half is chance; None: it is defined for none. `low` and `high`: the interval of 95 %."""

    value: float | None
    low: float | None
    high: float | None
    generators: int

    def text(self) -> str:
        """In words."""
        if self.value is None:
            return "undefined"
        interval = "" if self.low is None else f"{self.low:.2f} to {self.high:.2f}, "
        return f"{self.value:.2f} ({interval}{counted(self.generators, 'generator')})"


@dataclass(frozen=True)
class DetectorScore:
    """One detector that was trained on the manifest."""

    detector: str
    tested: str
    """Protocol and fold, such as generator:5, all folds."""
    everything: MeanPrecision
    matched: MeanPrecision


def detector_scores_path(workspace: Workspace) -> Path:
    """The file."""
    return workspace.detect / "manifest_scores.json"


def write_detector_scores(workspace: Workspace, scores: Sequence[DetectorScore]) -> None:
    """Write the scores on the manifest as it is."""
    manifest = sha256_of_file(manifest_path(workspace))
    written = {"manifest": manifest, "scores": [asdict(score) for score in scores]}
    write_json(detector_scores_path(workspace), written)


@dataclass(frozen=True)
class KnownScores:
    """The scores on the manifest as it is."""

    scores: Sequence[DetectorScore] = ()
    left_out: str | None = None
    """Why there are none although there is a file, in one line."""


def read_detector_scores(workspace: Workspace) -> KnownScores:
    """Those on the manifest as it is; none where there is no file, or it is damaged or of another manifest."""
    path = detector_scores_path(workspace)
    try:
        written: Any = json.loads(path.read_bytes())
        found = KnownScores([_score(score) for score in written["scores"]])
        manifest = written["manifest"]
    except FileNotFoundError:
        return KnownScores()
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        return _left_out(path, f"cannot be read ({in_one_line(error, 100, named=False)})")
    if manifest != sha256_of_file(manifest_path(workspace)):
        return _left_out(path, "is of another manifest")
    return found


def _left_out(path: Path, why: str) -> KnownScores:
    line = f"{path} {why}: the card says nothing of detectors; `cf-detect evaluate` writes it again"
    return KnownScores(left_out=line)


def _score(written: Any) -> DetectorScore:
    means = {name: MeanPrecision(**written[name]) for name in ("everything", "matched")}
    return DetectorScore(str(written["detector"]), str(written["tested"]), **means)
