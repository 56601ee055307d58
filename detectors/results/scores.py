"""Scores: what a detector said of each image. Everything that is reported is a function of them.

A score is a logit: the larger, the more likely the detector thinks the image is generated; 0 is probability one half.
Scores are kept by image, in parts below `scores/` of a run, and never averaged before they are written. An image that
could not be read has a row without a logit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import pyarrow as pa

from detectors.data.hashes import hashes_of
from workspace import records
from workspace.records import column

_NAME = pa.dictionary(pa.int32(), pa.string())

#: In front of the name of an evaluation that is a study's, which has values and figures of its own (`studies`).
OF_STUDY = "study-"

#: The transform of images as they are.
UNCHANGED = "none"


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a detector said of one image."""

    evaluation: str = column(_NAME, "which images were evaluated: digest of the index and of its rows")
    sha256: str = column(pa.string(), "of the image file")
    dataset: str = column(_NAME, "name of the source")
    label: int = column(pa.int8(), "1: generated, 0: real")
    generator: str | None = column(_NAME, "the generator's name; null for real images", default=None)
    architecture: str | None = column(_NAME, "of the generator, as in the index", default=None)
    real_source: str | None = column(_NAME, "as in the index", default=None)
    created_at: str | None = column(_NAME, "when the generator first appeared", default=None)
    pair: str | None = column(
        pa.string(),
        "sha256 of the real image that a generated one is paired with among the evaluated ones; null: none, or real",
        default=None,
    )
    part: Literal["validation", "test", "later", "seen"] = column(
        _NAME,
        "validation: for thresholds and calibration; test; of the protocol temporal also later: of the periods after "
        "the next one, and seen: unseen images of generators that training saw",
    )
    protocol: str = column(_NAME, "of the fold, such as generator:5")
    fold: str = column(_NAME, "name of the fold")
    transform: str = column(_NAME, "what was done to the image, such as jpeg; none: nothing")
    strength: float | None = column(
        pa.float32(), "of the transform, such as JPEG quality; null: it has none", default=None
    )
    logit: float | None = column(pa.float32(), "null: the image could not be read", default=None)


def scores_folder(run: Path) -> Path:
    """The folder of a run's scores."""
    return run / "scores"


def parts_of(run: Path) -> list[Path]:
    """The files of a run's scores, but for those of a study."""
    parts = scores_folder(run).glob("*/*.parquet")
    return sorted(part for part in parts if not part.parent.name.startswith(OF_STUDY))


def write_scores(path: Path, scores: pa.Table) -> None:
    """Write one part, whole or not at all. Raises `pa.ArrowInvalid` for a table that has not the columns of `Score`."""
    table = scores.unify_dictionaries().combine_chunks().cast(records.schema(Score))
    records.write_table(path, table)


def read_scores(run: Path, evaluations: Sequence[str] | None = None) -> pa.Table:
    """The scores of a run, by evaluation and part: of these evaluations, or of all but those of a study.

    The columns are those of `Score`, but `sha256` and `pair` are numbers (`hashes.hashes_of`), because so many texts
    would take most of the memory. The scores that were read last are kept: what is reported of a run is computed in
    several places. Raises `DamagedFileError`.
    """
    folder = scores_folder(run)
    parts = (
        parts_of(run)
        if evaluations is None
        else [part for name in sorted(evaluations) for part in sorted((folder / name).glob("*.parquet"))]
    )
    return _read(tuple((part, part.stat().st_mtime_ns) for part in parts))


@lru_cache(maxsize=1)
def _read(parts: Sequence[tuple[Path, int]]) -> pa.Table:
    tables = [_numbered(records.read_table(part, Score)) for part, _ in parts]
    return pa.concat_tables(tables or [_numbered(records.to_table(Score, []))]).unify_dictionaries().combine_chunks()


def _numbered(scores: pa.Table) -> pa.Table:
    for name in ("sha256", "pair"):
        numbers = pa.array(hashes_of(scores.column(name)))
        scores = scores.set_column(scores.column_names.index(name), name, numbers)
    return scores
