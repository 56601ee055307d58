"""Downloads the files of the next generators in a thread while the current one is sampled.

Several are downloaded ahead, in order, as many as there is space for. So a generator that is sampled in a moment, or
that downloads slowly, does not leave the device idle. A generator whose download fails for now is tried again after the
others; while the Hub is away, those whose files are on this disk already are sampled first.
"""

import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from crawler.catalog import CatalogEntry
from samplers.weights.fetching import FetchError
from samplers.weights.store import LocalFiles, WeightStore

#: Generators that may be downloaded ahead of the current one: a few small ones bridge the download of a large one, and
#: more would fill the disk without need.
AHEAD = 3
#: How often a generator whose download fails for now is tried, the first time included.
TRIES = 3
#: Seconds between two looks for generators that need no download, while the Hub is away.
_LOOK_SECONDS = 1.0


class _HasEntry(Protocol):
    @property
    def entry(self) -> CatalogEntry: ...


GeneratorT = TypeVar("GeneratorT", bound=_HasEntry)


def prefetched(
    generators: Sequence[GeneratorT], store: WeightStore
) -> Iterator[tuple[GeneratorT, LocalFiles | FetchError]]:
    """Each generator with its complete files, or the reason why they are not; raises what is no repository's fault.

    A reason that is `transient` says nothing about the generator: the Hub answered well for others, and not for it.
    Downloads start with the call, before the first generator is taken. The files are removed when the next one is
    taken.
    """
    store.announce(one.entry for one in generators)
    return _Prefetcher(generators, store).one_by_one()


class _Prefetcher(Generic[GeneratorT]):
    """The generators that are left, and those whose files are complete."""

    def __init__(self, generators: Sequence[GeneratorT], store: WeightStore) -> None:
        self._store, self._count = store, len(generators)
        self._left = list(generators)
        self._lock = threading.Lock()
        self._free = threading.Semaphore(1 + AHEAD)
        self._is_idle = threading.Event()
        self._ready: queue.SimpleQueue[tuple[GeneratorT, LocalFiles | FetchError] | BaseException] = queue.SimpleQueue()
        threading.Thread(target=self._fetch_all, daemon=True).start()

    def one_by_one(self) -> Iterator[tuple[GeneratorT, LocalFiles | FetchError]]:
        """The generators as they become ready."""
        for _ in range(self._count):
            one, files, is_ahead = self._next()
            yield one, files
            self._store.release(one.entry)
            if is_ahead:
                self._free.release()

    def _next(self) -> tuple[GeneratorT, LocalFiles | FetchError, bool]:
        """The next generator, its files, and whether it counts as one that was downloaded ahead."""
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
                return *local, False
            if isinstance(ready, BaseException):
                raise ready
            return *ready, True

    def _local(self) -> tuple[GeneratorT, LocalFiles | FetchError] | None:
        """One of those that are left whose files are on this disk."""
        with self._lock:
            left = list(self._left)
        for one in left:
            if self._store.has(one.entry) and self._take(one):
                try:
                    files = self._store.fetch_local(one.entry)
                except FetchError as error:
                    return one, error
                if files is not None:
                    return one, files
                with self._lock:
                    self._left.append(one)
        return None

    def _fetch_all(self) -> None:
        """Download in order; those that fail for now again afterwards."""
        tries: dict[str, int] = {}
        try:
            while True:
                self._free.acquire()
                one = self._take()
                if one is None:
                    return
                name = one.entry.generator
                tries[name] = tries.get(name, 0) + 1
                try:
                    files: LocalFiles | FetchError = self._store.fetch(one.entry, self._is_idle.is_set)
                except FetchError as error:
                    if error.transient and tries[name] < TRIES:
                        with self._lock:
                            self._left.append(one)
                        self._free.release()
                        continue
                    files = error
                with self._lock:
                    # Whoever waits has work now: the next one is downloaded ahead.
                    self._is_idle.clear()
                    self._ready.put((one, files))
        except BaseException as error:
            self._ready.put(error)

    def _take(self, one: GeneratorT | None = None) -> GeneratorT | None:
        """Take a generator, the first one by default, from those that are left; None where there is none."""
        with self._lock:
            if one is None and self._left:
                return self._left.pop(0)
            found = next((at for at, other in enumerate(self._left) if other is one), None)
            return None if found is None else self._left.pop(found)
