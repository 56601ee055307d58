"""A file that exists is whole.

A file is written under a temporary name in its own folder, flushed to the disk, and renamed. A reader therefore sees
the old file, the new file or none, even when the writer is killed. Temporary names start with a dot and end in
`.partial`, so that files left by a killed writer can be recognized; `remove_partial` removes them from a folder.
"""

import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PARTIAL_SUFFIX = ".partial"
#: What file systems without hard links answer.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV})


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
            sync_folder(path.parent)
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


def place(source: Path, target: Path) -> bool:
    """Give a complete file its name, unless there is a file of that name: False, and `source` remains.

    Both are on one file system. Of several processes that place a file of one name the first one succeeds.
    """
    with errors_naming(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if not link_or_copy(source, target):
            return False
        source.unlink()
    return True


def link_or_copy(source: Path, target: Path) -> bool:
    """Give a complete file a second name; False where there is a file of that name.

    On a file system without hard links it is copied, and two processes that do so at once could replace each other's
    file.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if target.exists():
            return False
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)
    return True


def remove_partial(folder: Path) -> int:
    """Remove the temporary files of killed writers from `folder` (not below it); returns their number.

    Only for a folder that nobody but the caller writes to: the temporary file of a running writer has such a name too.
    """
    partial = list(folder.glob(f".*{PARTIAL_SUFFIX}")) if folder.is_dir() else []
    for path in partial:
        path.unlink(missing_ok=True)
    return len(partial)


def sync_folder(folder: Path) -> None:
    """Flush the names of a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
