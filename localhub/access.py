"""Who may see, read and write what.

Without tokens the Hub belongs to whoever reaches it: reading is free, writing too where only this machine can
connect, and any token opens a gate. With tokens, writing needs one of the role "write", private repositories are
known only to those who have a token, and a gate opens by itself ("auto") for every known token, or by the owner's
hand ("manual"), for which the role "write" stands here.
"""

import hashlib
import hmac
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from localhub.records import Repo
from localhub.refusals import Disabled, Forbidden, Gated, RepoNotFound, Unauthorized
from workspace.errors import UsageError

#: An upload's signed address is good for this long; a large file on a slow link takes hours.
UPLOAD_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Token:
    """A secret that lets somebody in: who it is, and whether they may write."""

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
    """Who asks. `user` is None for a stranger."""

    user: str | None
    write: bool


class Doorkeeper:
    """Knows the tokens and decides. `open_writes`: strangers may write as long as no token is set."""

    def __init__(self, tokens: Iterable[Token], *, secret: bytes, open_writes: bool):
        self._users = {_digest(token.value): token for token in tokens}
        self._open_writes = open_writes and not self._users
        self._secret = secret

    def visitor(self, headers: Mapping[str, str]) -> Visitor:
        """Who asks, from the Authorization header; raises `Unauthorized` for a token nobody has."""
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
        """Whether the repository exists as far as this visitor is concerned."""
        return not repo.private or visitor.user is not None or self._open_writes

    def check_known(self, repo: Repo, visitor: Visitor) -> None:
        """Raise `RepoNotFound` for what the visitor may not know of, `Disabled` for what nobody gets."""
        if not self.may_know(repo, visitor):
            raise RepoNotFound(f"no {repo.kind} {repo.id!r} on this Hub")
        if repo.disabled:
            raise Disabled

    def check_files(self, repo: Repo, visitor: Visitor) -> None:
        """Raise `Gated` unless the visitor may have the repository's files."""
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
            raise Unauthorized("writing to this Hub needs a token; its owner sets them with cf-hub serve --token")
        raise Forbidden(f"the token of {visitor.user!r} is for reading; writing needs one of the role 'write'")

    def sign_upload(self, sha256: str, size: int) -> dict[str, str]:
        """The query that lets whoever has it upload this one content, without a token, for `UPLOAD_SECONDS`."""
        expires = int(time.time()) + UPLOAD_SECONDS
        return {"size": str(size), "expires": str(expires), "signature": self._signature(sha256, size, expires)}

    def check_upload(self, sha256: str, size: int, expires: int, signature: str) -> None:
        """Raise `Forbidden` unless `sign_upload` gave this signature, and not too long ago."""
        if not hmac.compare_digest(signature.encode(), self._signature(sha256, size, expires).encode()):
            raise Forbidden("the signature of this upload address is wrong")
        if expires < time.time():
            raise Forbidden("this upload address has expired; ask for a new one")

    def _signature(self, sha256: str, size: int, expires: int) -> str:
        return hmac.digest(self._secret, f"{sha256} {size} {expires}".encode(), "sha256").hex()


def _digest(value: str) -> bytes:
    # Looked up by hash, so that the time a lookup takes says nothing about a token.
    return hashlib.sha256(value.encode()).digest()
