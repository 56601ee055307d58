"""Downloads the files of the next generators in a thread while the current one is sampled.

Several are downloaded ahead, in order, as many as there is space for. So a generator that is sampled in a moment, or
that downloads slowly, does not leave the device idle. A generator whose download fails for now is tried again after the
others; while the Hub is away, those whose files are on this disk already are sampled first. Without a Hub (`offline`)
the store says which one comes next, as files arrive.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from crawler.catalog import CatalogEntry
from samplers.weights.fetching import FetchError
from samplers.weights.store import LocalFiles

#: Generators that may be downloaded ahead of the current one: a few small ones bridge the download of a large one, and
#: more would fill the disk without need.
AHEAD = 3
#: Of those that a caller names only when they are wanted, one is downloaded ahead: another process may sample it first.
_SHARE_OF_ASKED = 2
#: How often a generator whose download fails for now is tried, the first time included.
TRIES = 3
#: Seconds between two looks for generators that need no download, while the Hub is away.
_LOOK_SECONDS = 1.0


class _HasEntry(Protocol):
    @property
    def entry(self) -> CatalogEntry: ...


class Store(Protocol):
    """What is asked of a store: `WeightStore`, or `OfflineStore`."""

    @property
    def is_hub_away(self) -> bool:
        """Whether a download waits because the Hub does not answer well."""

    def announce(self, entries: Iterable[CatalogEntry]) -> None:
        """State once which generators will be fetched, and in which order."""

    def next_of(self, entries: Sequence[CatalogEntry], is_urgent: Callable[[], bool]) -> int:
        """Which of these is fetched next; may wait."""

    def lacking(self, entries: Iterable[CatalogEntry]) -> set[str]:
        """Which of these cannot be fetched now, and need not be tried."""

    def has(self, entry: CatalogEntry) -> bool:
        """Whether all contents of a generator are on this disk."""

    def fetch(self, entry: CatalogEntry, is_urgent: Callable[[], bool]) -> LocalFiles:
        """A generator's files."""

    def fetch_local(self, entry: CatalogEntry) -> LocalFiles | None:
        """A generator's files if nothing has to be downloaded."""

    def fetch_checker(self, repo_id: str, revision: str) -> Path:
        """The folder of the safety checker's files."""

    def release(self, entry: CatalogEntry) -> None:
        """Remove a generator's files."""


GeneratorT = TypeVar("GeneratorT", bound=_HasEntry)


def prefetched(
    generators: Sequence[GeneratorT], store: Store, more: Callable[[], GeneratorT | None] = lambda: None
) -> Iterator[tuple[GeneratorT, LocalFiles | FetchError]]:
    """Each generator with its complete files, or the reason why they are not; raises what is no repository's fault.

    A reason that is `transient` says nothing about the generator: the Hub answered well for others, and not for it.
    Downloads start with the call, before the first generator is taken. The files are removed when the next one is
    taken. `more` is called, in another thread, for a further generator when none is left; None: there is none.
    """
    store.announce(one.entry for one in generators)
    return _Prefetcher(generators, store, more).one_by_one()


@dataclass(frozen=True)
class _Ready(Generic[GeneratorT]):
    """A generator whose files are complete, or cannot be."""

    generator: GeneratorT
    files: LocalFiles | FetchError
    share: int
    """How many of the places for generators ahead it has."""


class _Prefetcher(Generic[GeneratorT]):
    """The generators that are left, and those whose files are complete."""

    def __init__(self, generators: Sequence[GeneratorT], store: Store, more: Callable[[], GeneratorT | None]) -> None:
        self._store, self._more = store, more
        self._left = list(generators)
        self._lock = threading.Lock()
        # Held where a generator may be taken and put back: none is left only when nobody does.
        self._looking = threading.Lock()
        self._free = threading.Semaphore(1 + AHEAD)
        self._is_idle = threading.Event()
        self._ready: queue.SimpleQueue[_Ready[GeneratorT] | BaseException | None] = queue.SimpleQueue()
        threading.Thread(target=self._fetch_all, daemon=True).start()

    def one_by_one(self) -> Iterator[tuple[GeneratorT, LocalFiles | FetchError]]:
        """The generators as they become ready."""
        while (ready := self._next()) is not None:
            yield ready.generator, ready.files
            self._store.release(ready.generator.entry)
            self._release(ready.share)

    def _next(self) -> _Ready[GeneratorT] | None:
        """The next generator; None: that was the last one."""
        with self._lock:
            if self._ready.empty():
                self._is_idle.set()
        while True:
            try:
                ready = self._ready.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                local = self._local() if self._store.is_hub_away else None
                if local is None:
                    continue
                self._is_idle.clear()
                return local
            if isinstance(ready, BaseException):
                raise ready
            return ready

    def _local(self) -> _Ready[GeneratorT] | None:
        """One of those that are left whose files are on this disk."""
        with self._looking:
            with self._lock:
                left = list(self._left)
            for one in left:
                if self._store.has(one.entry) and self._take(one):
                    try:
                        files = self._store.fetch_local(one.entry)
                    except FetchError as error:
                        return _Ready(one, error, 0)
                    if files is not None:
                        return _Ready(one, files, 0)
                    with self._lock:
                        self._left.append(one)
        return None

    def _fetch_all(self) -> None:
        """Download in order; those that fail for now again afterwards."""
        tries: dict[str, int] = {}
        try:
            while True:
                self._free.acquire()
                with self._looking:
                    one, share = self._take(self._chosen()), 1
                if one is None:
                    for _ in range(_SHARE_OF_ASKED - 1):
                        self._free.acquire()
                    one, share = self._more(), _SHARE_OF_ASKED
                if one is None:
                    self._ready.put(None)
                    return
                name = one.entry.generator
                tries[name] = tries.get(name, 0) + 1
                try:
                    files: LocalFiles | FetchError = self._store.fetch(one.entry, self._is_idle.is_set)
                except FetchError as error:
                    if error.transient and tries[name] < TRIES:
                        with self._lock:
                            self._left.append(one)
                        self._release(share)
                        continue
                    files = error
                with self._lock:
                    # Whoever waits has work now: the next one is downloaded ahead.
                    self._is_idle.clear()
                    self._ready.put(_Ready(one, files, share))
        except BaseException as error:
            self._ready.put(error)

    def _release(self, share: int) -> None:
        for _ in range(share):
            self._free.release()

    def _chosen(self) -> GeneratorT | None:
        """Which of those that are left is fetched next; None where there is none."""
        with self._lock:
            left = list(self._left)
        return left[self._store.next_of([one.entry for one in left], self._is_idle.is_set)] if left else None

    def _take(self, one: GeneratorT | None) -> GeneratorT | None:
        """Take a generator from those that are left; None where it was taken."""
        with self._lock:
            found = next((at for at, other in enumerate(self._left) if other is one), None)
            return None if found is None else self._left.pop(found)
