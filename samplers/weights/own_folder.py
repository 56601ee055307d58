"""The folder that weights are stored in: made by this program, marked as its own, and written by nobody else.

Everything in it may be removed, so a folder that holds other files is left as it is, and one in it is used instead. It
is opened without following a link: the default one has a name that others can guess, in a folder that all may write.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from workspace.errors import UsageError
from workspace.process_folder import is_process_folder

MARK = ".community-forensics-weights"
_TEXT = "cf-sample or cf-fetch made this folder, and removes what is in it.\n"
#: In a folder whose contents stay when no process uses them: `cf-fetch` fills it, and frees what is done.
_KEPT = ".community-forensics-kept"
_KEPT_TEXT = (
    "cf-fetch keeps weights here for cf-sample --offline. When all runs are done, this folder can be removed.\n"
)
#: Writable by the group or by all.
_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def own_folder(folder: Path) -> Path:
    """`folder`, or a folder in it where it holds files of others; made and marked, without links in its path.

    Raises `UsageError` for a link and for a folder that others could replace, `OSError` as the file system does.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UsageError(f"--weights-dir {folder} is no folder: name another one") from error
    if _take(folder):
        return _resolved(folder)
    with _opened(folder) as descriptor:
        status = os.fstat(descriptor)
    if status.st_uid not in (0, os.getuid()):
        raise UsageError(f"--weights-dir {folder} belongs to another user: name another folder")
    if status.st_mode & _BY_OTHERS and not status.st_mode & stat.S_ISVTX:
        raise UsageError(
            f"--weights-dir {folder} holds other files, and others may write there: name an empty folder of your own"
        )
    inner = folder / f"community-forensics-{os.getuid()}"
    inner.mkdir(mode=0o700, exist_ok=True)
    if not _take(inner):
        raise UsageError(
            f"--weights-dir {folder}: {inner} holds files that cf-sample did not make: name another folder"
        )
    return _resolved(inner)


def mark(folder: Path) -> None:
    """Mark a folder as this program's own."""
    with _opened(folder) as descriptor:
        _mark(descriptor)


def keep(folder: Path) -> None:
    """Note that the contents of a folder of this program stay when no process uses them."""
    (folder / _KEPT).write_text(_KEPT_TEXT, encoding="utf-8")


def is_kept(folder: Path) -> bool:
    """Whether `keep` noted it."""
    return (folder / _KEPT).exists()


def unmark(folder: Path) -> None:
    """Remove the mark, when nothing is in the folder any more."""
    (folder / MARK).unlink(missing_ok=True)


def _take(folder: Path) -> bool:
    """Whether this folder is marked, or was empty and is marked now. Raises `UsageError` for a link, and for a marked
    folder of others or that others may write."""
    with _opened(folder) as descriptor:
        status = os.fstat(descriptor)
        names = _names(descriptor)
        is_marked = MARK in names
        # One that another process of ours is leaving, or has just made.
        is_empty = all(is_process_folder(name) or (name == "lock" and _is_lock(folder / name)) for name in names)
        if not (is_marked or is_empty):
            return False
        if status.st_uid != os.getuid():
            if is_marked:
                raise UsageError(f"--weights-dir {folder} belongs to another user: name another folder")
            return False
        if is_marked:
            try:
                found = os.stat(MARK, dir_fd=descriptor, follow_symlinks=False)
            except FileNotFoundError:
                # The last process that used the folder has just ended.
                return _take(folder)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid() or status.st_mode & _BY_OTHERS:
                raise UsageError(f"--weights-dir {folder} may be written by others: remove it, or name another folder")
        else:
            os.fchmod(descriptor, 0o700)
            _mark(descriptor)
        return True


def _is_lock(folder: Path) -> bool:
    """Whether this is the lock of the folder above it, which another process may remove at any moment."""
    try:
        return all(is_process_folder(name) for name in _names(folder))
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _names(folder: Path | int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _mark(descriptor: int) -> None:
    with suppress(FileExistsError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(MARK, flags, 0o600, dir_fd=descriptor), "w", encoding="utf-8") as file:
            file.write(_TEXT)


def _resolved(folder: Path) -> Path:
    """The path without links; the folder itself is none."""
    return folder.resolve(strict=True)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """The folder, opened; not through a link."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        if folder.is_symlink():
            raise UsageError(f"--weights-dir {folder} is a link: name the folder that it leads to") from error
        raise
    try:
        yield descriptor
    finally:
        os.close(descriptor)
