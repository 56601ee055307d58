"""A file that exists is whole.

A file is written under a temporary name in its own folder, flushed to the disk, and renamed. A reader therefore sees
the old file, the new file or none, even when the writer is killed. Temporary names start with a dot and end in
`.partial`, so that files left by a killed writer can be recognized; `remove_partial` removes them from a folder.
"""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PARTIAL_SUFFIX = ".partial"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; when the block succeeds it becomes `path`, otherwise it is removed.

    Raises `OSError` as the file system does (no space, no permission); `path` is then unchanged.
    """
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
    with errors_naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Created here, so that two writers cannot share it; with the permissions of the umask: results are shared.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        try:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def errors_naming(path: Path) -> Iterator[None]:
    """A block that writes `path`: an `OSError` that names no file, as those of a full disk, then names this one."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON for people and for diff: indented, keys sorted, a line feed at the end."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_bytes(path, f"{text}\n".encode())


def remove_partial(folder: Path) -> int:
    """Remove the temporary files of killed writers from `folder` (not below it); returns their number.

    Only for a folder that nobody but the caller writes to: the temporary file of a running writer has such a name too.
    """
    partial = list(folder.glob(f".*{PARTIAL_SUFFIX}")) if folder.is_dir() else []
    for path in partial:
        path.unlink(missing_ok=True)
    return len(partial)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
