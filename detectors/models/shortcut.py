"""`shortcut`: a detector that looks at no pixel. What it finds, any other detector may have found too.

Boosted trees on file facts, as the audit has them. A run keeps the facts that it was trained on, not the trees: they
are grown again when it is loaded, the same ones, in a second, and nothing is unpickled.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from detectors.data.file_facts import Numbers, Vocabulary, facts_of, vocabulary_of
from detectors.data.index import Index, Rows
from detectors.protocols.folds import Fold
from detectors.run import Run
from manifests.audit.facts import SAMPLE
from manifests.audit.trees import Trees
from manifests.manifest import FAKE, REAL
from workspace import records
from workspace.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The registry's name of it.
NAME = "shortcut"

#: Probabilities are kept this far from 0 and 1, so that logits are finite.
_CERTAIN = 1e-6


class Shortcut:
    """Trained trees, and the facts that they look at."""

    def __init__(self, values: Numbers, labels: npt.NDArray[np.int64], vocabulary: Vocabulary) -> None:
        """`values`: the facts of the training images, shape (images, facts)."""
        self._vocabulary = vocabulary
        differing = [len(np.unique(values[:, column])) > 1 for column in range(values.shape[1])]
        self._used = np.flatnonzero(differing)
        names: Sequence[bool] = [vocabulary.names()[column] for column in self._used]
        self._trees = Trees(values[:, self._used], names, labels) if len(self._used) else None

    def logits_of_rows(self, index: Index, rows: Rows) -> npt.NDArray[np.float32]:
        """The logit of each image by the facts of its file: float32 of shape (rows,)."""
        if self._trees is None:
            return np.zeros(len(rows), np.float32)
        values = facts_of(index, rows, self._vocabulary)[:, self._used]
        chances = np.clip(self._trees.chances(values), _CERTAIN, 1 - _CERTAIN)
        return np.log(chances / (1 - chances)).astype(np.float32)


def train_shortcut(run: Run, index: Index, fold: Fold) -> None:
    """Train on the training images of a fold, of large classes on a sample, and finish the run.

    Raises `UsageError` where training has images of one class only.
    """
    rows = _sample(index, fold.train)
    labels = index.labels[rows].astype(np.int64)
    if len(np.unique(labels)) < 2:
        raise UsageError(f"{run.name}: its training has no {'generated' if FAKE not in labels else 'real'} images")
    vocabulary, left_out = vocabulary_of(index, rows)
    values = facts_of(index, rows, vocabulary)
    columns = {str(number): values[:, number] for number in range(values.shape[1])}
    records.write_table(_facts_path(run.folder), pa.table({"label": labels, **columns}))
    texts = {name: list(values) for name, values in vocabulary.texts.items()}
    run.finish({"model": NAME, "facts": list(vocabulary.facts), "texts": texts, "left_out": left_out})


def load_shortcut(run: Run) -> Shortcut:
    """The detector of a finished run. Raises `UsageError` for one that is not finished, or damaged."""
    described = run.described()
    path = _facts_path(run.folder)
    try:
        vocabulary = Vocabulary(tuple(described["facts"]), dict(described["texts"]))
        with records.reading(path):
            table = pq.read_table(path, page_checksum_verification=True)
        columns = [table.column(str(number)).to_numpy() for number in range(len(vocabulary.facts))]
        values = np.column_stack(columns) if columns else np.empty((len(table), 0))
        return Shortcut(values, table.column("label").to_numpy(), vocabulary)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{run.description} is damaged: remove the folder {run.folder} and train again") from error


def _facts_path(folder: Path) -> Path:
    return folder / "training_facts.parquet"


def _sample(index: Index, rows: Rows) -> Rows:
    """Of each class at most `SAMPLE` rows, those of smallest hash: a choice by chance that is always the same."""
    hashes = index.hashes("sha256")
    chosen = []
    for label in (REAL, FAKE):
        here = rows[index.labels[rows] == label]
        chosen.append(here[np.argsort(hashes[here], kind="stable")[:SAMPLE]])
    return np.sort(np.concatenate(chosen))
