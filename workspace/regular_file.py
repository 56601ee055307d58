"""Files of strangers: opened only when they are regular files, and only inside the folder that was named.

A name in a downloaded folder may be a link to a token or to `/proc/self/environ`, a pipe from which reading would wait
for ever, or a device that reading changes. So a name is first resolved to the file itself, without opening it (O_PATH);
what that file is and where it lies is asked of this one file; and then the same file is opened for reading. No name is
looked up twice, so nobody can put another file in its place between the check and the reading.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


class NotRegularError(OSError):
    """A pipe, a socket, a device or a folder, where a file is expected."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(errno.EINVAL, "not a regular file", str(path))


class OutsideError(OSError):
    """A link to a file outside the folder in which files are read."""

    def __init__(self, path: str | Path, folder: str | Path) -> None:
        super().__init__(errno.EACCES, f"a link that leads out of {folder}", str(path))


def open_descriptor(path: str | Path, within: str | Path | None = None) -> int:
    """The descriptor of a regular file, opened for reading; the caller closes it.

    `within`: the file must be in or below this folder, after all links were followed; None: it may be anywhere. Raises
    `NotRegularError`, `OutsideError`, and any other `OSError` as `os.open` does.
    """
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        opened = Path(f"/proc/self/fd/{place}")
        if not stat.S_ISREG(os.fstat(place).st_mode):
            raise NotRegularError(path)
        if within is not None and not is_below(opened.readlink(), within):
            raise OutsideError(path, within)
        return os.open(opened, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.filename is not None and str(error.filename).startswith("/proc/self/fd/"):
            error.filename = str(path)
        raise
    finally:
        os.close(place)


def open_regular(path: str | Path, within: str | Path | None = None) -> BinaryIO:
    """As `open_descriptor`, as a file object."""
    return os.fdopen(open_descriptor(path, within), "rb")


def read_regular(path: str | Path, within: str | Path | None = None, limit: int | None = None) -> bytes:
    """The first `limit` bytes of a regular file; None: all of it. Errors as `open_descriptor`."""
    with open_regular(path, within) as file:
        return file.read() if limit is None else file.read(limit)


def is_below(path: str | Path, folder: str | Path) -> bool:
    """Whether a path without links is a folder, or is below it."""
    return Path(path).is_relative_to(os.path.realpath(folder))
