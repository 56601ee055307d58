"""Notes commits of the Hub that is mirrored: which commit a revision is, and the hashes of all its files."""

import re
import threading
import time
from urllib.parse import quote

from localhub.mirror.copies import CopyStore
from localhub.mirror.upstream import AwayError, Moved, Upstream
from localhub.names import check_kind, check_repo_id, is_commit_id
from localhub.request_errors import BadRequest, RepoNotFound, RequestError, RevisionNotFound

#: Seconds in which the Hub is not asked again which commit a branch is at: a client asks for each of its files.
BRANCH_SECONDS = 5.0
_NAMED = re.compile(r"/api/(?:models|datasets)/([^/?]+/[^/?]+)")


class Copier:
    """Notes commits in a store. May be used from any number of threads."""

    def __init__(self, store: CopyStore, upstream: Upstream) -> None:
        self._store, self._upstream = store, upstream
        self._lock = threading.Lock()
        self._asked: dict[tuple[str, str, str], float] = {}

    def note(self, kind: str, repo_id: str, revision: str, token: str | None = None) -> str | None:
        """Note a repository at a revision, unless that was done; returns its name now where it was renamed.

        A commit is asked for once, a branch again and again; while the Hub is away, what is noted counts. Raises
        `AwayError`, and `RequestError` as the Hub refuses it.
        """
        check_kind(kind)
        try:
            check_repo_id(repo_id)
        except BadRequest as error:
            raise RepoNotFound(str(error)) from None
        is_noted = self._is_noted(kind, repo_id, revision)
        asked = self._asked.get((kind, repo_id, revision), float("-inf"))
        if is_noted and (is_commit_id(revision) or time.monotonic() - asked < BRANCH_SECONDS):
            return None
        target = f"/api/{kind}s/{quote(repo_id)}/revision/{quote(revision, safe='')}?blobs=true"
        try:
            answer = self._upstream.get(target, token)
        except AwayError:
            if is_noted:
                return None
            raise
        if isinstance(answer, Moved):
            found = _NAMED.match(answer.target)
            if found is None or found[1] == repo_id:
                raise RequestError("the Hub that is mirrored has moved this repository elsewhere", status=502)
            return check_repo_id(found[1])
        if not isinstance(answer.value, dict):
            raise RequestError("the answer of the Hub that is mirrored does not describe a repository", status=502)
        self._store.note(kind, repo_id, revision, answer.value, is_hidden=answer.opened)
        with self._lock:
            if len(self._asked) > 100_000:
                self._asked.clear()
            self._asked[kind, repo_id, revision] = time.monotonic()
        return None

    def _is_noted(self, kind: str, repo_id: str, revision: str) -> bool:
        try:
            self._store.commit_of(self._store.repo(kind, repo_id), revision)
        except (RepoNotFound, RevisionNotFound):
            return False
        return True
