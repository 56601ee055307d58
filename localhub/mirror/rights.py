"""Who may read what of a mirror.

What everybody may read on the Hub that is mirrored, everybody may read here. Of a gated or private repository that Hub
decides for each token, also where the files are on this disk: what one client's token opened is not given to another
one. A token that the owner of the mirror names (`cf-hub serve --token`) is this server's own, is never sent anywhere,
and opens all that the mirror has, as on any Hub here. Nobody writes.
"""

import hmac
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from localhub.access import AccessControl, Token, Visitor
from localhub.mirror.upstream import AwayError, Upstream
from localhub.records import Repo
from localhub.request_errors import Forbidden, Gated, Unauthorized

#: A token that can be sent on in a header.
_TOKEN = re.compile(r"[!-~]{1,500}", re.ASCII)


@dataclass(frozen=True)
class Client(Visitor):
    """The sender of a request with a token of the Hub that is mirrored."""

    token: str = field(default="", repr=False)


@dataclass
class Rights:
    """Whose token the Hub that is mirrored lets read which gated or private repository.

    Tokens are remembered by a keyed hash whose key ends with this process. A right counts for `SECONDS`; while the Hub
    is away, for `SECONDS_AWAY` after it was confirmed.
    """

    upstream: Upstream
    key: bytes = field(repr=False)
    _confirmed: dict[tuple[str, ...], tuple[bool, float]] = field(default_factory=dict)

    SECONDS = 300.0
    SECONDS_AWAY = 12 * 3600.0
    MOST = 10_000

    def has(self, kind: str, repo_id: str, token: str) -> bool:
        """Whether this token may read the repository's files. Raises `AwayError` where nobody can tell."""
        who = (hmac.digest(self.key, token.encode(), "sha256").hex(), kind, repo_id)
        may, asked = self._confirmed.get(who, (False, float("-inf")))
        if time.monotonic() - asked < self.SECONDS:
            return may
        try:
            now = self.upstream.allows(f"/api/{kind}s/{repo_id}/auth-check", token)
        except AwayError:
            if may and time.monotonic() - asked < self.SECONDS_AWAY:
                return True
            raise
        if len(self._confirmed) >= self.MOST:
            self._confirmed.clear()
        self._confirmed[who] = now, time.monotonic()
        return now


class MirrorAccess(AccessControl):
    """Access control of a mirror. `tokens` are this server's own."""

    def __init__(self, tokens: Iterable[Token], rights: Rights, *, secret: bytes) -> None:
        own = [*tokens]
        super().__init__(own, secret=secret, open_writes=False)
        self._has_own, self._rights = bool(own), rights

    def visitor(self, headers: Mapping[str, str]) -> Visitor:
        """The sender of a request: an unknown token is one of the Hub that is mirrored."""
        if self._has_own:
            try:
                return super().visitor(headers)
            except Unauthorized:
                pass
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or _TOKEN.fullmatch(value.strip()) is None:
            return Visitor(None, False)
        return Client("user", False, value.strip())

    def may_know(self, repo: Repo, visitor: Visitor) -> bool:
        """Whether the visitor may know that the repository exists. Raises `AwayError` where nobody can tell."""
        return not repo.private or self._may_read(repo, visitor)

    def check_files(self, repo: Repo, visitor: Visitor) -> None:
        """Raise `Gated` unless the visitor may read the repository's files, `AwayError` where nobody can tell."""
        if not isinstance(visitor, Client):
            super().check_files(repo, visitor)
        elif (repo.gated or repo.private) and not self._may_read(repo, visitor):
            raise Gated(f"Access to {repo.kind} {repo.id} is restricted and you are not in the authorized list.")

    def check_write(self, _visitor: Visitor) -> None:
        """Raise `Forbidden`."""
        raise Forbidden("this Hub is a mirror, which nobody writes to; write to the Hub that it mirrors")

    def _may_read(self, repo: Repo, visitor: Visitor) -> bool:
        if isinstance(visitor, Client):
            return self._rights.has(repo.kind, repo.id, visitor.token)
        return visitor.user is not None
