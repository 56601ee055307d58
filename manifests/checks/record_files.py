"""What must hold of the files of the records: that they can be read, and are what was written.

Each page of such a file has a checksum, because a byte that changed may otherwise go unnoticed: a letter of a prompt
becomes another one.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from captioning.prompt import prompt_parts
from manifests.checks.failures import NAMED_ROWS, Failure, Problem
from samplers.sample import sample_parts
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace

_THREADS = 4

_DAMAGED = Problem(
    "[file is|files are] damaged",
    "restore [it|them] from a copy, or remove the folder in samples/ or prompts/, or catalog.parquet, and run the "
    "command again that wrote it: `cf-sample`, `cf-caption` or `cf-crawl`",
)


def check_parts(workspace: Workspace) -> list[Failure]:
    """Read every part, and the catalogue, whole; returns what is wrong with them."""
    paths: Sequence[Path] = [*sample_parts(workspace), *prompt_parts(workspace), workspace.catalog]
    with ThreadPoolExecutor(_THREADS) as threads:
        wrong = [str(path) for path, good in zip(paths, threads.map(_is_whole, paths), strict=True) if not good]
    return [Failure(_DAMAGED, len(wrong), tuple(wrong[:NAMED_ROWS]))] if wrong else []


def _is_whole(path: Path) -> bool:
    try:
        records.verify(path)
    except UsageError:
        return False
    return True
