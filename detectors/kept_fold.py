"""The fold of a run of a study, kept in its folder: `fold.parquet`, a row for each image that is in a part.

A study trains on some of what its protocol has for training, so that the protocol alone does not say on which.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detectors.data.index import Index
from detectors.protocols.folds import Fold
from detectors.run import STUDY, Run
from workspace import records
from workspace.errors import UsageError
from workspace.records import column

_PARTS = ("train", "validation", "test", "later", "seen")
_FILE = "fold.parquet"


@dataclass(frozen=True, kw_only=True)
class KeptRow:
    """An image of the run's fold."""

    part: Literal["train", "validation", "test", "later", "seen"] = column(
        pa.dictionary(pa.int32(), pa.string()), "what it is for"
    )
    row: int = column(pa.int64(), "its number in the index of the run's data, from 0")


def keep_fold(run: Run, fold: Fold) -> None:
    """Write the fold of a run, where it is not there."""
    if (run.folder / _FILE).exists():
        return
    rows = [getattr(fold, part) for part in _PARTS]
    parts = np.repeat(np.arange(len(_PARTS), dtype=np.int32), list(map(len, rows)))
    columns = [pa.DictionaryArray.from_arrays(parts, pa.array(_PARTS)), pa.array(np.concatenate(rows))]
    records.write_table(run.folder / _FILE, pa.Table.from_arrays(columns, schema=records.schema(KeptRow)))


def kept_fold(run: Run, index: Index) -> Fold:
    """The fold of a run of a study, under the study's protocol.

    Raises `UsageError` where it is not there or not of this index, `DamagedFileError`.
    """
    path = run.folder / _FILE
    if not path.exists():
        raise UsageError(
            f"{path} is missing, which says on which images it was trained: run the `cf-detect study` again"
        )
    table = records.read_table(path, KeptRow)
    parts = table.column("part").cast(pa.string())
    rows = {part: table.column("row").filter(pc.equal(parts, part)).to_numpy() for part in _PARTS}
    fold = Fold(run.recipe.fold, **rows, protocol=run.recipe.protocol.removeprefix(STUDY))
    highest = max((int(some.max(initial=-1)) for some in rows.values()), default=-1)
    if highest >= len(index) or fold.digest(index) != run.recipe.rows:
        raise UsageError(f"{path} is of other images than this data: name the same sources in the same order")
    return fold
