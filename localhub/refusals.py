"""What the Hub refuses, said the way its clients understand.

huggingface_hub chooses its exception by the `X-Error-Code` header first, by `X-Error-Message` second and by the
status last, so each refusal carries all three. The store raises the same errors: over HTTP they become a
response, on a command line one line and an exit code.
"""

from collections.abc import Mapping
from typing import Any

from workspace.errors import CommunityForensicsError


class Refusal(CommunityForensicsError):  # noqa: N818 - what it is called here; its children are what the Hub calls them
    """A request that is not granted. `status` is the HTTP status, `code` the Hub's `X-Error-Code` if it has one."""

    status = 400
    code: str | None = None

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ):
        super().__init__(message)
        self.status = status if status is not None else type(self).status
        self.headers = dict(headers or {})
        self.body = dict(body or {})


class BadRequest(Refusal):
    """The request cannot be understood or breaks a rule of names, sizes or hashes; on a command line, misuse."""

    exit_code = 2


class RepoNotFound(Refusal):
    """No such repository, or one that this visitor may not know of."""

    status = 404
    code = "RepoNotFound"


class RevisionNotFound(Refusal):
    """The repository has no such branch, tag or commit."""

    status = 404
    code = "RevisionNotFound"


class EntryNotFound(Refusal):
    """The revision has no such file or folder."""

    status = 404
    code = "EntryNotFound"


class Gated(Refusal):
    """The repository's files are for approved visitors: 401 for a stranger, 403 for one who is known."""

    status = 403
    code = "GatedRepo"


class Disabled(Refusal):
    """The repository was taken down; its files are served to nobody."""

    status = 403

    def __init__(self) -> None:
        # The exact words: huggingface_hub compares them to raise DisabledRepoError.
        super().__init__("Access to this resource is disabled.")


class Unauthorized(Refusal):
    """A token is needed, or the one given is not known."""

    status = 401


class Forbidden(Refusal):
    """The visitor is known but may not do this."""

    status = 403


class Conflict(Refusal):
    """What is to be made exists already, or has changed meanwhile."""

    status = 409
