"""Batches that are in no part yet: each is a group of a journal, its rows with the images inside.

A process appends the batches that it makes to a journal of its own, and begins another one where the samples of another
part begin. Of a former version a batch was a folder with a file of rows and one of each image: those are read too.
"""

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from samplers.sample import ImageFile, Sample
from workspace import journal, records
from workspace.errors import is_refusal

#: The column that is stored as it is.
PLAIN = ("image.bytes",)
#: The file with the rows in the folder of a former version; its column `image` is empty.
_ROWS = "rows.parquet"


def rows_of_batches(path: Path, columns: Sequence[str], start: int = 0) -> Iterator[tuple[list[dict[str, Any]], int]]:
    """Columns of the rows of each whole batch of a journal, or of the batch in a former folder, and where it ends in
    the journal; only those that begin after the first `start` bytes.

    Raises `UsageError` for rows of another version, `FileNotFoundError` for a journal that was removed meanwhile.
    """
    if not _is_former(path):
        for group in journal.read_groups(path, Sample, columns, start):
            yield group.rows.to_pylist(), group.stop
    elif not start and (rows := _former_batch(path)) is not None:
        yield [{name: getattr(row, name) for name in columns} for row in rows], 1


def read_batches(path: Path) -> Iterator[list[Sample]]:
    """The rows of each whole batch, with the images inside; errors as `rows_of_batches`."""
    if not _is_former(path):
        for group in journal.read_groups(path, Sample):
            yield records.from_table(Sample, group.rows)
    elif (rows := _former_batch(path)) is not None:
        yield rows


def _is_former(path: Path) -> bool:
    return path.name.startswith("batch-")


def remove_batches(paths: Iterable[Path]) -> None:
    """Remove journals, and former folders, that are no longer needed; another process may have done it."""
    for path in paths:
        if _is_former(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _former_batch(folder: Path) -> list[Sample] | None:
    """The batch in a folder; None: it is damaged."""
    try:
        rows = records.read(folder / _ROWS, Sample)
    except records.DamagedFileError:
        return None
    found: list[Sample] = []
    for row in rows:
        if row.image_name is not None:
            content = _content(folder / row.image_name)
            if content is None or hashlib.sha256(content).hexdigest() != row.sha256:
                return None
            row = replace(row, image=ImageFile(bytes=content))
        found.append(row)
    return found


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError as error:
        if is_refusal(error):
            raise
        return None
