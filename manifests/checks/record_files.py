"""What must hold of the files that the records lie in: that they can be read, and are what was written.

Each page of a record's file has a checksum, because a byte that changed there need not be seen by whoever reads it: a
letter of a prompt becomes another one.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from captioning.prompt import prompt_parts
from manifests.checks.failures import NAMED_ROWS, Failure
from samplers.sample import sample_parts
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace

_THREADS = 4


def check_parts(workspace: Workspace) -> list[Failure]:
    """Read every part, and the catalogue, whole; what is wrong with them."""
    paths: Sequence[Path] = [*sample_parts(workspace), *prompt_parts(workspace), workspace.catalog]
    with ThreadPoolExecutor(_THREADS) as threads:
        wrong = [str(path) for path, good in zip(paths, threads.map(_is_whole, paths), strict=True) if not good]
    return [Failure("are damaged", len(wrong), tuple(wrong[:NAMED_ROWS]))] if wrong else []


def _is_whole(path: Path) -> bool:
    try:
        records.verify(path)
    except UsageError:
        return False
    return True
