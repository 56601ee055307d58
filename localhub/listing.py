"""The index of all repositories, for `/api/models` and `/api/datasets`.

Reading twenty thousand repositories for each page would be slow. The index keeps the listed fields in memory; before
each page it reads only the repositories that have changed since the last one. The cursor of a page is the position of
its last row in the order, so that no page repeats or skips an unchanged repository when others are added or deleted.
"""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

from localhub.metadata import Metadata
from localhub.names import KINDS, check_kind
from localhub.records import Commit, Repo
from localhub.request_errors import BadRequest, RepoNotFound, RevisionNotFound
from localhub.store import Store

#: Maximum number of repositories of a page, as on the Hub.
MAX_PAGE = 1000


@dataclass(frozen=True)
class Entry:
    """A repository at one commit, with the fields of a listing. `used_storage` is in bytes."""

    repo: Repo
    sha: str
    last_modified: str
    paths: tuple[str, ...]
    used_storage: int
    metadata: Metadata

    @classmethod
    def of(cls, repo: Repo, commit: Commit) -> "Entry":
        """The entry of `repo` at `commit`."""
        stored = {file.sha256: file.size for file in commit.files.values()}
        return cls(repo, commit.id, commit.date, tuple(commit.files), sum(stored.values()), commit.metadata)


@dataclass(frozen=True)
class Query:
    """The conditions of a listing, which must all be met; `limit` is the page size, at most `MAX_PAGE`."""

    filters: tuple[str, ...] = ()
    author: str | None = None
    search: tuple[str, ...] = ()
    gated: bool | None = None
    pipeline_tag: str | None = None
    library: str | None = None
    sort: str = "trendingScore"
    limit: int = MAX_PAGE
    cursor: str | None = None

    def matches(self, entry: Entry) -> bool:
        """Whether a repository meets all conditions."""
        repo, metadata = entry.repo, entry.metadata
        return (
            (self.gated is None or bool(repo.gated) == self.gated)
            and (self.pipeline_tag is None or metadata.pipeline_tag == self.pipeline_tag)
            and (self.library is None or metadata.library_name == self.library or self.library in metadata.tags)
            and (self.author is None or repo.id.split("/")[0].lower() == self.author.lower())
            and all(text.lower() in repo.id.lower() for text in self.search)
            and all(
                tag in metadata.tags or tag in (metadata.library_name, metadata.pipeline_tag) for tag in self.filters
            )
        )


#: The orders of a listing, largest or newest first, equal ones by id. The trending score is the number of likes.
SORTS: dict[str, Callable[[Entry], Any]] = {
    "downloads": lambda entry: entry.repo.downloads,
    "likes": lambda entry: entry.repo.likes,
    "trendingScore": lambda entry: entry.repo.likes,
    "createdAt": lambda entry: entry.repo.created_at,
    "lastModified": lambda entry: entry.last_modified,
}


class Listing:
    """The repositories of a store in any of the orders, page by page. May be called from any thread."""

    def __init__(self, store: Store):
        self._store = store
        self._lock = threading.Lock()
        self._place = -1
        self._entries: dict[tuple[str, str], Entry] = {}
        self._orders: dict[tuple[str, str], list[Entry]] = {}

    def page(self, kind: str, query: Query, visible: Callable[[Repo], bool]) -> tuple[list[Entry], str | None]:
        """One page of the repositories that match `query` and are `visible`; the cursor of the next page or None."""
        rows = self._rows(check_kind(kind), query, visible)
        page = list(islice(rows, min(query.limit, MAX_PAGE)))
        more = next(rows, None) is not None
        return page, _cursor(SORTS[query.sort](page[-1]), page[-1].repo.id) if more and page else None

    def count(self, kind: str) -> int:
        """The number of repositories of a kind."""
        return len(self._order(check_kind(kind), "downloads"))

    def _rows(self, kind: str, query: Query, visible: Callable[[Repo], bool]) -> Iterator[Entry]:
        if query.sort not in SORTS:
            raise BadRequest(f"cannot sort by {query.sort!r}: it must be one of {', '.join(SORTS)}")
        key, passed = SORTS[query.sort], _place(query.cursor)
        for entry in self._order(kind, query.sort):
            if passed is not None and not _comes_after(key(entry), entry.repo.id, passed):
                continue
            if query.matches(entry) and visible(entry.repo):
                yield entry

    def _order(self, kind: str, sort: str) -> list[Entry]:
        with self._lock:
            self._refresh()
            if (kind, sort) not in self._orders:
                entries = sorted((e for e in self._entries.values() if e.repo.kind == kind), key=lambda e: e.repo.id)
                self._orders[kind, sort] = sorted(entries, key=SORTS[sort], reverse=True)
            return self._orders[kind, sort]

    def _refresh(self) -> None:
        self._place, changed = self._store.changes(self._place)
        if changed is None:
            self._entries.clear()
            changed = {(kind, repo_id) for kind in KINDS for repo_id in self._store.repo_ids(kind)}
        if changed:
            self._orders.clear()
        for kind, repo_id in changed:
            self._entries.pop((kind, repo_id), None)
            # Deleted, or not complete yet: a later change will say so.
            with suppress(RepoNotFound, RevisionNotFound):
                repo = self._store.repo(kind, repo_id)
                self._entries[kind, repo_id] = Entry.of(repo, self._store.commit_of(repo))


def _cursor(key: Any, repo_id: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([key, repo_id]).encode()).decode()


def _place(cursor: str | None) -> tuple[Any, str] | None:
    if cursor is None:
        return None
    try:
        key, repo_id = json.loads(base64.urlsafe_b64decode(cursor))
    except (ValueError, TypeError, RecursionError):
        raise BadRequest("the cursor is not valid on this Hub") from None
    return key, str(repo_id)


def _comes_after(key: Any, repo_id: str, passed: tuple[Any, str]) -> bool:
    if type(key) is not type(passed[0]):
        raise BadRequest("the cursor is of a listing with another order")
    return bool(key < passed[0] or (key == passed[0] and repo_id > passed[1]))
