"""The exceptions of this project: what is wrong, where, and what to do about it, in one line.

`UsageError` is for the caller to correct (exit code 2); any other `CommunityForensicsError` is a failure of the run
(exit code 1). All other exceptions are bugs of this project and keep their traceback. `workspace/command_line.py` turns
exceptions into messages and exit codes; there a disk that is full or read-only is no bug either (`disk_error`).
"""

import errno
import os

from workspace.printable import in_line

_FREE_SPACE = "free space on that disk, or name a folder on another one"
_PERMISSIONS = "change its permissions, or name another folder"

#: What to do when the system refuses to write, or to read.
_REMEDIES = {
    errno.ENOSPC: _FREE_SPACE,
    errno.EDQUOT: _FREE_SPACE,
    errno.EROFS: "name a folder on a disk that may be written",
    errno.EACCES: _PERMISSIONS,
    errno.EPERM: _PERMISSIONS,
    errno.EIO: "check that disk",
    errno.EMFILE: "raise the number of open files (`ulimit -n`)",
    errno.ENFILE: "close other programs: the machine has too many open files",
    errno.ESTALE: "check that file server",
}

#: Of these, what says nothing of a file's content: it must not be taken for damage, which would be made again.
_REFUSALS = frozenset({errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ENOMEM})
#: Where two files are named, the second one is written: these are its disk's.
_OF_TARGET = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


class CommunityForensicsError(Exception):
    """The run failed; the message says in one line why. Exit code 1."""

    exit_code = 1


class UsageError(CommunityForensicsError):
    """The command cannot be run as it was given: an invalid option, path, file or recipe. Exit code 2."""

    exit_code = 2


class ChangedElsewhereError(CommunityForensicsError):
    """A file of the workspace is not the one that this process has seen: another one wrote it. Exit code 1."""


class HubError(CommunityForensicsError):
    """The Hub did not answer, or its answer was not what was requested. Exit code 1."""


def disk_error(error: OSError) -> CommunityForensicsError | None:
    """The error of a disk that is full, read-only or forbidden, with what to do; None: `error` has another cause."""
    if error.errno not in _REMEDIES:
        return None
    name = error.filename2 if error.errno in _OF_TARGET and error.filename2 else error.filename
    return CommunityForensicsError(
        f"{name or 'a file'} cannot be used ({os.strerror(error.errno)}): {_REMEDIES[error.errno]}, then run the same "
        "command again"
    )


def is_refusal(error: OSError) -> bool:
    """Whether the system did not let this process read a file, whatever is in it."""
    return error.errno in _REFUSALS


def in_one_line(error: BaseException, limit: int = 300, *, named: bool = True) -> str:
    """An exception as one line of at most `limit` characters: its class (unless not `named`), then its text.

    Messages of other libraries have several lines, and may quote long parts of an untrusted file or its control
    characters.
    """
    name, text = type(error).__name__, in_line(str(error))
    if not text:
        return name
    return f"{name}: {text}"[:limit] if named else text[:limit]
