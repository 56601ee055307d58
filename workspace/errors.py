"""One hierarchy of errors: what was wrong, where, and what to do about it, in one line.

`UsageError` is for the caller to correct (exit code 2, as command lines use it); any other `CommunityForensicsError` is
a failure of the run (exit code 1). Everything else is a defect of this project and keeps its traceback.
`workspace/command_line.py` turns errors into messages and exit codes.
"""


class CommunityForensicsError(Exception):
    """Something failed that the reader should know in one line; exit code 1."""

    exit_code = 1


class UsageError(CommunityForensicsError):
    """The command cannot be carried out as given: a bad option, path, file or recipe; exit code 2."""

    exit_code = 2


class HubError(CommunityForensicsError):
    """The Hub did not answer, or not with what was asked for; exit code 1."""


def in_one_line(error: BaseException, limit: int = 300, *, named: bool = True) -> str:
    """An exception as one line of at most `limit` characters: its class (unless not `named`), then its text.

    Other libraries' messages have several lines and may quote any amount of a stranger's file.
    """
    name, text = type(error).__name__, " ".join(str(error).split())
    if not text:
        return name
    return f"{name}: {text}"[:limit] if named else text[:limit]
