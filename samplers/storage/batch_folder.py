"""The folder of one batch: its rows and its images, put in place by one renaming.

It is complete or does not exist. Of two processes that make the same batch the first one counts.
"""

import errno
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from samplers.sample import Sample
from workspace import records
from workspace.atomic import sync_folder
from workspace.errors import is_refusal

#: The file in the folder that has the rows; their column `image` is empty.
ROWS = "rows.parquet"
#: What file systems answer where the target of a renaming is a folder with files in it.
_EXISTS = frozenset({errno.ENOTEMPTY, errno.EEXIST})


def move_into_place(made: Path, target: Path, rows: Sequence[Sample]) -> bool:
    """Complete the folder `made`, which has the images of `rows`, and give it its name `target`; False: another
    process has put this batch there."""
    records.write(made / ROWS, Sample, rows)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        made.rename(target)
    except OSError as error:
        if error.errno not in _EXISTS:
            raise
        return False
    sync_folder(target.parent)
    return True


def read_batch(folder: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Columns of the rows of a batch. Raises `DamagedFileError` where they cannot be read or an image of them is not
    as it was written."""
    rows = records.read_table(folder / ROWS, Sample, [*{*columns, "image_name", "sha256"}]).to_pylist()
    for row in rows:
        if row["image_name"] is not None and _sha256(folder / row["image_name"]) != row["sha256"]:
            raise records.DamagedFileError(f"{folder / row['image_name']} is damaged")
    return [{name: row[name] for name in columns} for row in rows]


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        if is_refusal(error):
            raise
        return None
