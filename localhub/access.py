"""Access control: who may see, read and write what.

Without tokens, everybody may read, and any token gives access to gated repositories; everybody may write if the server
listens on loopback only. With tokens, writing needs one with the role "write"; a private repository is visible only
with a token; a repository that is gated "auto" is open to every known token, one gated "manual" only to tokens with
the role "write" (on the real Hub, its owner approves each user).
"""

import hashlib
import hmac
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from localhub.records import Repo
from localhub.request_errors import Disabled, Forbidden, Gated, RepoNotFound, Unauthorized
from workspace.errors import UsageError

#: How long the signed address of an upload is valid; a large file on a slow link takes hours.
UPLOAD_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Token:
    """A token with its user, and whether it has the role "write"."""

    value: str
    user: str
    write: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `[USER=]VALUE[:read|:write]`; the role is "write" where none is given. Raises `UsageError`."""
        head, _, role = text.partition(":")
        user, separator, value = head.partition("=")
        if not separator:
            user, value = "user", head
        if not value or not user or role not in ("", "read", "write"):
            raise UsageError("a token must look like hf_secret, hf_secret:read or alice=hf_secret:write")
        return cls(value, user, role != "read")


@dataclass(frozen=True)
class Visitor:
    """The sender of a request. `user` is None if it has no token."""

    user: str | None
    write: bool


class AccessControl:
    """Decides by the tokens. `open_writes`: without tokens, everybody may write."""

    def __init__(self, tokens: Iterable[Token], *, secret: bytes, open_writes: bool):
        self._users = {_digest(token.value): token for token in tokens}
        self._open_writes = open_writes and not self._users
        self._secret = secret

    def visitor(self, headers: Mapping[str, str]) -> Visitor:
        """The sender of a request, from the Authorization header; raises `Unauthorized` for an unknown token."""
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not value:
            return Visitor(None, self._open_writes)
        if not self._users:
            return Visitor("user", self._open_writes)
        token = self._users.get(_digest(value.strip()))
        if token is None:
            raise Unauthorized("Invalid credentials in Authorization header")
        return Visitor(token.user, token.write)

    def may_know(self, repo: Repo, visitor: Visitor) -> bool:
        """Whether the visitor may know that the repository exists."""
        return not repo.private or visitor.user is not None or self._open_writes

    def check_known(self, repo: Repo, visitor: Visitor) -> None:
        """Raise `RepoNotFound` if the visitor may not know of the repository, `Disabled` if it is disabled."""
        if not self.may_know(repo, visitor):
            raise RepoNotFound(f"this Hub has no {repo.kind} {repo.id!r}")
        if repo.disabled:
            raise Disabled

    def check_files(self, repo: Repo, visitor: Visitor) -> None:
        """Raise `Gated` unless the visitor may read the repository's files."""
        if repo.gated and visitor.user is None:
            raise Gated(
                f"Access to {repo.kind} {repo.id} is restricted. You must be authenticated to access it.", status=401
            )
        if repo.gated == "manual" and not visitor.write:
            raise Gated(f"Access to {repo.kind} {repo.id} is restricted and you are not in the authorized list.")

    def check_write(self, visitor: Visitor) -> None:
        """Raise `Unauthorized` or `Forbidden` unless the visitor may write."""
        if visitor.write:
            return
        if visitor.user is None or not self._users:
            raise Unauthorized("writing to this Hub needs a token; its owner sets tokens with cf-hub serve --token")
        raise Forbidden(f"the token of {visitor.user!r} has the role 'read'; writing needs the role 'write'")

    def sign_upload(self, sha256: str, size: int) -> dict[str, str]:
        """The query of an address for uploading this one content without a token, valid for `UPLOAD_SECONDS`."""
        expires = int(time.time()) + UPLOAD_SECONDS
        return {"size": str(size), "expires": str(expires), "signature": self._signature(sha256, size, expires)}

    def check_upload(self, sha256: str, size: int, expires: int, signature: str) -> None:
        """Raise `Forbidden` unless `sign_upload` made this signature and it has not expired."""
        if not hmac.compare_digest(signature.encode(), self._signature(sha256, size, expires).encode()):
            raise Forbidden("the signature of this upload address is invalid")
        if expires < time.time():
            raise Forbidden("this upload address has expired; start the upload again")

    def _signature(self, sha256: str, size: int, expires: int) -> str:
        return hmac.digest(self._secret, f"{sha256} {size} {expires}".encode(), "sha256").hex()


def _digest(value: str) -> bytes:
    # Looked up by hash, so that the time of a lookup does not depend on the token's text.
    return hashlib.sha256(value.encode()).digest()
