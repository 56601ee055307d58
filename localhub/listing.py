"""Which repositories there are: the index behind `/api/models` and `/api/datasets`.

Twenty thousand repositories are too many to read for each page. The index keeps what a listing shows in memory, asks
the store before each page what has changed since, and reads only that again.
A page's cursor is the place of its last row in the order, so that a page neither repeats nor skips a repository
that stood still, whatever came or went between two pages.
"""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

from localhub.facts import Facts
from localhub.names import KINDS, check_kind
from localhub.records import Commit, Repo
from localhub.refusals import BadRequest, RepoNotFound, RevisionNotFound
from localhub.store import Store

#: Most repositories a page holds, as on the Hub.
MAX_PAGE = 1000


@dataclass(frozen=True)
class Entry:
    """What is said of a repository at one commit. `used_storage` is in bytes."""

    repo: Repo
    sha: str
    last_modified: str
    paths: tuple[str, ...]
    used_storage: int
    facts: Facts

    @classmethod
    def of(cls, repo: Repo, commit: Commit) -> "Entry":
        """What is said of `repo` at `commit`."""
        stored = {file.sha256: file.size for file in commit.files.values()}
        return cls(repo, commit.id, commit.date, tuple(commit.files), sum(stored.values()), commit.facts)


@dataclass(frozen=True)
class Query:
    """What a listing asks for. All conditions must hold; `limit` is the page size, at most `MAX_PAGE`."""

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
        """Whether a repository is asked for."""
        repo, facts = entry.repo, entry.facts
        return (
            (self.gated is None or bool(repo.gated) == self.gated)
            and (self.pipeline_tag is None or facts.pipeline_tag == self.pipeline_tag)
            and (self.library is None or facts.library_name == self.library or self.library in facts.tags)
            and (self.author is None or repo.id.split("/")[0].lower() == self.author.lower())
            and all(text.lower() in repo.id.lower() for text in self.search)
            and all(tag in facts.tags or tag in (facts.library_name, facts.pipeline_tag) for tag in self.filters)
        )


#: The orders a listing can have, largest or newest first, equal ones by id. There is no trend here: likes stand in.
SORTS: dict[str, Callable[[Entry], Any]] = {
    "downloads": lambda entry: entry.repo.downloads,
    "likes": lambda entry: entry.repo.likes,
    "trendingScore": lambda entry: entry.repo.likes,
    "createdAt": lambda entry: entry.repo.created_at,
    "lastModified": lambda entry: entry.last_modified,
}


class Listing:
    """The repositories of a store, in any order, a page at a time. May be called from any thread."""

    def __init__(self, store: Store):
        self._store = store
        self._lock = threading.Lock()
        self._place = -1
        self._entries: dict[tuple[str, str], Entry] = {}
        self._orders: dict[tuple[str, str], list[Entry]] = {}

    def page(self, kind: str, query: Query, visible: Callable[[Repo], bool]) -> tuple[list[Entry], str | None]:
        """One page of what `query` asks for and `visible` allows, and the next one's cursor (None: it was the last)."""
        rows = self._rows(check_kind(kind), query, visible)
        page = list(islice(rows, min(query.limit, MAX_PAGE)))
        more = next(rows, None) is not None
        return page, _cursor(SORTS[query.sort](page[-1]), page[-1].repo.id) if more and page else None

    def count(self, kind: str) -> int:
        """How many repositories of a kind there are."""
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
            # Gone, or not quite there yet: then a later change says so.
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
        raise BadRequest("the cursor is not one that this Hub gave") from None
    return key, str(repo_id)


def _comes_after(key: Any, repo_id: str, passed: tuple[Any, str]) -> bool:
    if type(key) is not type(passed[0]):
        raise BadRequest("the cursor belongs to another order")
    return bool(key < passed[0] or (key == passed[0] and repo_id > passed[1]))
