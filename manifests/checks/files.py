"""What must hold of the files that a manifest names.

That every file is there with the size that its row gives is always looked at; `quick` reads a sample of them to compare
their sha256 and look at the picture (`pictures`), `full` all of them. Of real images that lie in archives, in tables or
on the Hub, `quick` looks at the sample only: to ask for the size of each may be to fetch it.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import pyarrow.parquet as pq

from manifests.checks.failures import NAMED_ROWS, Failure
from manifests.checks.pictures import wrong_photograph, wrong_png
from manifests.images import ImageReader
from manifests.manifest import FAKE, REAL
from manifests.options import Verify
from manifests.reading_threads import ReadingThreads
from workspace.hub_access import HubAccess
from workspace.layout import Workspace
from workspace.locator import is_plain_file

#: Of how many files `quick` reads one whole. The choice hangs on the file's sha256, so it is the same every time.
QUICK_ONE_IN = 50

#: Files looked at together: enough to hide a shared file system's latency.
THREADS = 16
_CHUNK = 4_096


@dataclass(frozen=True)
class _Row:
    """What a row says of its file."""

    path: str
    label: int
    sha256: str
    file_size: int | None
    format: str
    mode: str
    width: int
    height: int


def check_files(
    workspace: Workspace,
    manifest: Path,
    verify: Verify,
    hub: HubAccess = HubAccess(),
    advance: Callable[[int], None] = lambda _: None,
) -> list[Failure]:
    """What is wrong with the files that a manifest names; `advance` hears how many more were looked at."""
    wrong: dict[str, list[str]] = {}
    images = ImageReader(workspace, hub)
    columns = [field.name for field in fields(_Row)]
    with ReadingThreads(THREADS) as threads, pq.ParquetFile(manifest) as file:
        for batch in file.iter_batches(_CHUNK, columns=columns):
            chunk = [_Row(**row) for row in batch.to_pylist()]
            looking = [threads.submit(row.path, _look, images, verify, row) for row in chunk]
            for row, looked in zip(chunk, looking, strict=True):
                if (what := looked.result()) is not None:
                    wrong.setdefault(what, []).append(row.path)
            advance(len(chunk))
    return [Failure(what, len(paths), tuple(sorted(paths)[:NAMED_ROWS])) for what, paths in sorted(wrong.items())]


def _look(images: ImageReader, verify: Verify, row: _Row) -> str | None:
    """What is wrong with one file; None: nothing."""
    whole = verify == "full" or not _number(row.sha256) % QUICK_ONE_IN
    try:
        if not whole and row.label == REAL and not is_plain_file(row.path):
            return None
        size = images.size(row.path)
        if size == 0:
            return "are empty files"
        if size != (row.file_size or size):
            return "have another number of bytes than their row says"
        if not whole:
            return None
        content = images.read(row.path)
    except FileNotFoundError:
        if row.label == FAKE:
            return "are not there"
        return (
            "are real images that are not there (put their data set back; "
            "--edition public does without those that may not be passed on)"
        )
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    if hashlib.sha256(content).hexdigest() != row.sha256:
        return "have another sha256 than their row says"
    if row.label == FAKE:
        return wrong_png(content, row.mode, row.width, row.height)
    return wrong_photograph(content, row.format, row.width, row.height)


def _number(sha256: str) -> int:
    """Evenly spread; 0 for a text that is no sha256, of which the checks of rows speak."""
    try:
        return int(sha256[:8], 16)
    except ValueError:
        return 0
