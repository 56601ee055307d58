"""Errors of requests, with the status and headers by which clients recognize them.

huggingface_hub chooses its exception by the header `X-Error-Code`, then by `X-Error-Message`, then by the status, so
each error has all three. The store raises the same errors: over HTTP they become a response, on a command line one line
and an exit code.
"""

from collections.abc import Mapping
from typing import Any

from workspace.errors import CommunityForensicsError


class RequestError(CommunityForensicsError):
    """A request that fails. `status` is the HTTP status, `code` the Hub's `X-Error-Code`, if it has one."""

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


class BadRequest(RequestError):  # noqa: N818 - the Hub's name
    """The request is malformed, or a name, size or hash in it is invalid; on a command line, exit code 2."""

    exit_code = 2


class RepoNotFound(RequestError):  # noqa: N818 - the Hub's name
    """The repository does not exist, or the visitor may not know of it."""

    status = 404
    code = "RepoNotFound"


class RevisionNotFound(RequestError):  # noqa: N818 - the Hub's name
    """The repository does not have this branch, tag or commit."""

    status = 404
    code = "RevisionNotFound"


class EntryNotFound(RequestError):  # noqa: N818 - the Hub's name
    """The revision does not have this file or folder."""

    status = 404
    code = "EntryNotFound"


class Gated(RequestError):  # noqa: N818 - the Hub's name
    """The repository's files need approval: 401 without a token, 403 with one."""

    status = 403
    code = "GatedRepo"


class Disabled(RequestError):  # noqa: N818 - the Hub's name
    """The repository is disabled; nobody can read its files."""

    status = 403

    def __init__(self) -> None:
        # Exactly this text: huggingface_hub compares it to raise DisabledRepoError.
        super().__init__("Access to this resource is disabled.")


class Unauthorized(RequestError):  # noqa: N818 - the Hub's name
    """The request needs a token, or its token is unknown."""

    status = 401


class Forbidden(RequestError):  # noqa: N818 - the Hub's name
    """The token does not allow this request."""

    status = 403


class Conflict(RequestError):  # noqa: N818 - the Hub's name
    """What the request would create exists already."""

    status = 409
