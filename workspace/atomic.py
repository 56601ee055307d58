"""A file that exists is whole.

A file is written under a temporary name in its own folder, flushed to the disk, and renamed. A reader therefore sees
the old file, the new file or none, even when the writer is killed. Temporary names start with a dot and end in
`.partial`, so that files left by a killed writer can be recognized; `remove_partial` removes them from a folder.
"""

import ctypes
import errno
import json
import os
import secrets
import shutil
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PARTIAL_SUFFIX = ".partial"
#: What file systems without hard links answer.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV})


# linux/fcntl.h and linux/fs.h.
_AT_FDCWD, _RENAME_NOREPLACE = -100, 1


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; when the block succeeds it becomes `path`, otherwise it is removed.

    Raises `OSError` as the file system does (no space, no permission); `path` is then unchanged.
    """
    with errors_naming(path):
        temporary, descriptor = _temporary(path)
        os.close(descriptor)
        try:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(path)
            sync_path(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def _temporary(path: Path) -> tuple[Path, int]:
    """A temporary file for `path`, and its descriptor. Created here, so that two writers cannot share it; with the
    permissions of the umask: results are shared."""
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    try:
        return temporary, os.open(temporary, flags, 0o666)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return temporary, os.open(temporary, flags, 0o666)


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
    """Write `content` to `path`, whole or not at all, in as few calls of the file system as there can be."""
    with errors_naming(path):
        temporary, descriptor = _temporary(path)
        try:
            try:
                write_all(descriptor, content)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_path(path.parent)


def write_all(descriptor: int, content: bytes | memoryview) -> None:
    """Write all of `content` to an open file."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


class OpenFile:
    """A file that is written in few calls of the file system, each of which returns when the disk has what was written:
    on a file server that is one request instead of two. It is closed when nothing refers to it any more."""

    def __init__(self, path: Path, flags: int) -> None:
        """Open it as `os.open` does. Raises `OSError`, as the other methods."""
        self._path, self._descriptor = path, os.open(path, flags | os.O_DSYNC, 0o666)
        self._close = weakref.finalize(self, os.close, self._descriptor)

    def write(self, content: bytes | memoryview) -> None:
        """Write all of it at the end of what was written."""
        with errors_naming(self._path):
            write_all(self._descriptor, content)

    def cut(self, length: int) -> None:
        """Continue after the first `length` bytes, as far as the disk lets."""
        with suppress(OSError):
            os.ftruncate(self._descriptor, length)
            os.lseek(self._descriptor, length, os.SEEK_SET)

    def close(self) -> None:
        """Close it."""
        self._close()


class OpenFolder:
    """A folder whose names are flushed often; closed as `OpenFile`."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises `OSError`, as the other methods."""
        self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self._close = weakref.finalize(self, os.close, self._descriptor)

    def sync(self) -> None:
        """Flush the names in it to the disk."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close it."""
        self._close()


def read_whole(path: Path, start: int = 0) -> bytes:
    """The bytes of a file, after the first `start`, in as few calls of the file system as there can be."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        parts, size = [], os.fstat(descriptor).st_size
        while start < size and (part := os.pread(descriptor, size - start, start)):
            parts.append(part)
            start += len(part)
    finally:
        os.close(descriptor)
    return b"".join(parts)


def write_once(path: Path, content: bytes | memoryview) -> None:
    """Write a file that nobody else knows, such as one in a folder of this process: it is on the disk at the return."""
    file = OpenFile(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        file.write(content)
    finally:
        file.close()


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON for people and for diff: indented, keys sorted, a line feed at the end."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_bytes(path, f"{text}\n".encode())


def place(source: Path, target: Path) -> bool:
    """Give a complete file its name, unless there is a file of that name: False, and `source` remains.

    Both are on one file system, in folders that exist. Of several processes that place a file of one name the first one
    succeeds.
    """
    with errors_naming(target):
        if (renamed := _rename_new(source, target)) is not None:
            return renamed
        if not link_or_copy(source, target):
            return False
        source.unlink()
    return True


def _rename_new(source: Path, target: Path) -> bool | None:
    """Rename a file unless there is one of that name (False); None: the system, or this file system, cannot."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return None
    sys.audit("os.rename", str(source), str(target), -1, -1)
    if renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE) == 0:
        return True
    error = ctypes.get_errno()
    if error == errno.EEXIST:
        return False
    if error in _NO_LINKS or error == errno.EINVAL:
        return None
    raise OSError(error, os.strerror(error), str(source), None, str(target))


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


def sync_path(path: Path) -> None:
    """Flush the bytes of a file, or the names of a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
