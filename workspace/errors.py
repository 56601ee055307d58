"""The exceptions of this project: what is wrong, where, and what to do about it, in one line.

`UsageError` is for the caller to correct (exit code 2); any other `CommunityForensicsError` is a failure of the run
(exit code 1). All other exceptions are bugs of this project and keep their traceback. `workspace/command_line.py` turns
exceptions into messages and exit codes.
"""


class CommunityForensicsError(Exception):
    """The run failed; the message says in one line why. Exit code 1."""

    exit_code = 1


class UsageError(CommunityForensicsError):
    """The command cannot be run as it was given: an invalid option, path, file or recipe. Exit code 2."""

    exit_code = 2


class HubError(CommunityForensicsError):
    """The Hub did not answer, or its answer was not what was requested. Exit code 1."""


def in_one_line(error: BaseException, limit: int = 300, *, named: bool = True) -> str:
    """An exception as one line of at most `limit` characters: its class (unless not `named`), then its text.

    Messages of other libraries have several lines and may quote long parts of an untrusted file.
    """
    name, text = type(error).__name__, " ".join(str(error).split())
    if not text:
        return name
    return f"{name}: {text}"[:limit] if named else text[:limit]
