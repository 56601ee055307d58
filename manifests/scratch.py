"""A folder for the while of one piece of work, known by its place, so that the next run clears what a kill left."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """An empty folder at `folder` for this block only. Only for a caller who is the one writer there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
