"""What must hold of the files that a manifest names.

Every file exists and has the size that its row gives: that is always checked. `quick` reads one in fifty, compares its
sha256 and checks the picture (`pictures`); `full` reads all. Real images in archives, in tables or on the Hub are
checked by `quick` only where they are read: asking for the size of each could mean fetching it.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from engines.engine import Engine
from manifests.checks.failures import NAMED_ROWS, Failure, Problem
from manifests.checks.pictures import foreign_image_problem, png_problem, real_image_problem
from manifests.checks.remedies import RESTORE_DATA_SET, SAMPLE_AGAIN
from manifests.images import ImageReader
from manifests.manifest import REAL
from manifests.options import Verify
from manifests.reading_threads import ReadingThreads
from workspace.errors import in_one_line, is_refusal
from workspace.hub_access import HubAccess
from workspace.layout import Workspace
from workspace.locator import is_plain_file

#: `quick` reads one file in so many. The choice depends on the file's sha256, so it is the same every time.
QUICK_ONE_IN = 50

#: Files checked in parallel: enough to hide a shared file system's latency.
THREADS = 16
_CHUNK = 4_096
#: Rows whose files a process of an engine checks for one call: a minute or so with `full`.
_ROWS_A_CALL = 5 * _CHUNK

_EMPTY = Problem("image [file is|files are] empty", SAMPLE_AGAIN)
_OTHER_BYTES = Problem(
    "image [file has|files have] another number of bytes than [its row says|their rows say]", SAMPLE_AGAIN
)
_OTHER_SHA256 = Problem("image [file has|files have] another sha256 than [its row says|their rows say]", SAMPLE_AGAIN)
_MISSING = Problem("image [file is|files are] missing", SAMPLE_AGAIN)
_REAL_EMPTY = Problem("real image [file is|files are] empty", RESTORE_DATA_SET)
_REAL_CHANGED = Problem(
    "real [image has|images have] another sha256 than when [it was|they were] captioned", RESTORE_DATA_SET
)
_REAL_OTHER_BYTES = Problem(
    "real [image has|images have] another number of bytes than when [it was|they were] captioned", RESTORE_DATA_SET
)
_REAL_MISSING = Problem(
    "real [image is|images are] missing",
    "say where the data set is on this machine (`cf-caption --root SOURCE=PATH`), put it back to where it was "
    "captioned, or build with --edition public, which leaves out the real images that may not be passed on",
)


@dataclass(frozen=True)
class _Row:
    """What a row says of its file."""

    path: str
    label: int
    generator: str | None
    origin: str | None
    sha256: str
    file_size: int | None
    format: str
    mode: str
    width: int
    height: int


_COLUMNS = [field.name for field in fields(_Row)]
#: The paths of wrong files by generator (None: real images) and problem.
_Wrong = dict[str | None, dict[Problem, list[str]]]


@dataclass(frozen=True)
class FileChecks:
    """What is wrong with the files that a manifest names: real images, and those of single generators, by name."""

    failures: list[Failure]
    damaged: dict[str, list[Failure]]


def check_files(
    workspace: Workspace,
    manifest: Path,
    verify: Verify,
    hub: HubAccess = HubAccess(),
    advance: Callable[[int], None] = lambda _: None,
    engine: Engine | None = None,
) -> FileChecks:
    """Check the files that a manifest names, in the processes of an engine where there is one; `advance` is called with
    how many more were checked."""
    wrong: _Wrong = {}
    if engine is None:
        with pq.ParquetFile(manifest, page_checksum_verification=True) as file:
            batches = file.iter_batches(_CHUNK, columns=_COLUMNS)
            _check(ImageReader(workspace, hub), verify, batches, wrong, advance)
    else:
        calls = list(_calls(workspace, manifest.absolute(), verify, hub))
        for call, found in engine.run(problems_of, calls):
            for generator, problems in found.items():
                for problem, paths in problems.items():
                    wrong.setdefault(generator, {}).setdefault(problem, []).extend(paths)
            advance(call.rows)
    return FileChecks(
        failures=_failures(wrong.pop(None, {})),
        damaged={name: _failures(problems) for name, problems in sorted(wrong.items()) if name is not None},
    )


@dataclass(frozen=True)
class _Rows:
    """Some rows of one row group of a manifest, and how their files are checked."""

    workspace: Workspace
    manifest: Path
    verify: Verify
    hub: HubAccess
    group: int
    start: int
    rows: int


def problems_of(rows: _Rows) -> _Wrong:
    """What is wrong with the files of some rows."""
    wrong: _Wrong = {}
    with pq.ParquetFile(rows.manifest, page_checksum_verification=True) as file:
        table = file.read_row_group(rows.group, columns=_COLUMNS).slice(rows.start, rows.rows)
    _check(ImageReader(rows.workspace, rows.hub), rows.verify, table.to_batches(_CHUNK), wrong)
    return wrong


def _calls(workspace: Workspace, manifest: Path, verify: Verify, hub: HubAccess) -> Iterable[_Rows]:
    """All rows of a manifest, some for each call of an engine."""
    with pq.ParquetFile(manifest) as file:
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    for group, size in enumerate(sizes):
        for start in range(0, size, _ROWS_A_CALL):
            yield _Rows(workspace, manifest, verify, hub, group, start, min(_ROWS_A_CALL, size - start))


def _check(
    images: ImageReader,
    verify: Verify,
    batches: Iterable[pa.RecordBatch],
    wrong: _Wrong,
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """Add what is wrong with the files of these rows to `wrong`."""
    with ReadingThreads(THREADS) as threads:
        for batch in batches:
            chunk = [_Row(**row) for row in batch.to_pylist()]
            checking = [threads.submit(row.path, _problem, images, verify, row) for row in chunk]
            for row, checked in zip(chunk, checking, strict=True):
                if (problem := checked.result()) is not None:
                    generator = None if row.label == REAL else row.generator
                    wrong.setdefault(generator, {}).setdefault(problem, []).append(row.path)
            advance(len(chunk))


def _failures(wrong: Mapping[Problem, list[str]]) -> list[Failure]:
    return [
        Failure(problem, len(paths), tuple(sorted(paths)[:NAMED_ROWS]))
        for problem, paths in sorted(wrong.items(), key=lambda item: item[0].text)
    ]


def _problem(images: ImageReader, verify: Verify, row: _Row) -> Problem | None:
    """What is wrong with one file; None: nothing."""
    whole = verify == "full" or not _number(row.sha256) % QUICK_ONE_IN
    real = row.label == REAL
    try:
        if not whole and real and not is_plain_file(row.path):
            return None
        size = images.size(row.path)
        if size == 0:
            return _REAL_EMPTY if real else _EMPTY
        if size != (row.file_size or size):
            return _REAL_OTHER_BYTES if real else _OTHER_BYTES
        if not whole:
            return None
        content = images.read(row.path)
    except FileNotFoundError:
        return _REAL_MISSING if real else _MISSING
    except OSError as error:
        if is_refusal(error):
            raise
        reason = error.strerror or in_one_line(error, named=False)
        return Problem(f"image [file|files] cannot be read ({reason})", RESTORE_DATA_SET if real else SAMPLE_AGAIN)
    if hashlib.sha256(content).hexdigest() != row.sha256:
        return _REAL_CHANGED if real else _OTHER_SHA256
    if real:
        return real_image_problem(content, row.format, row.width, row.height)
    if row.origin != "sampled":
        return foreign_image_problem(content, row.format, row.width, row.height)
    return png_problem(content, row.mode, row.width, row.height)


def _number(sha256: str) -> int:
    """An evenly distributed number; 0 for an invalid sha256, which the checks of rows report."""
    try:
        return int(sha256[:8], 16)
    except ValueError:
        return 0
