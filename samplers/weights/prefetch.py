"""Downloads the files of the next generators in a thread while the current one is sampled.

Several are downloaded ahead, in order, as many as there is space for. So a generator that is sampled in a moment, or
that downloads slowly, does not leave the device idle.
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Protocol, TypeVar

from crawler.catalog import CatalogEntry
from samplers.weights.fetching import FetchError
from samplers.weights.store import LocalFiles, WeightStore

#: Generators that may be downloaded ahead of the current one: a few small ones bridge the download of a large one, and
#: more would fill the disk without need.
AHEAD = 3


class _HasEntry(Protocol):
    @property
    def entry(self) -> CatalogEntry: ...


GeneratorT = TypeVar("GeneratorT", bound=_HasEntry)


def prefetched(
    generators: Sequence[GeneratorT], store: WeightStore
) -> Iterator[tuple[GeneratorT, LocalFiles | FetchError]]:
    """Each generator with its complete files, or the reason why they are not; raises what is no repository's fault.

    Downloads start with the call, before the first generator is taken. The files are removed when the next one is
    taken.
    """
    downloads = [_Download(one.entry) for one in generators]
    free = threading.Semaphore(1 + AHEAD)
    store.announce(one.entry for one in generators)
    threading.Thread(target=_fetch, args=(downloads, store, free), daemon=True).start()

    def one_by_one() -> Iterator[tuple[GeneratorT, LocalFiles | FetchError]]:
        for one, download in zip(generators, downloads, strict=True):
            yield one, download.wait()
            store.release(one.entry)
            free.release()

    return one_by_one()


class _Download:
    """The download of one generator's files."""

    def __init__(self, entry: CatalogEntry) -> None:
        self.entry = entry
        self.urgent = threading.Event()
        self.result: Future[LocalFiles | FetchError] = Future()

    def wait(self) -> LocalFiles | FetchError:
        """The files, or why the repository does not give them. Raises what is no repository's fault."""
        self.urgent.set()
        return self.result.result()


def _fetch(downloads: Sequence[_Download], store: WeightStore, free: threading.Semaphore) -> None:
    for download in downloads:
        free.acquire()
        try:
            download.result.set_result(store.fetch(download.entry, download.urgent.is_set))
        except FetchError as error:
            download.result.set_result(error)
        except BaseException as error:
            download.result.set_exception(error)
            return
