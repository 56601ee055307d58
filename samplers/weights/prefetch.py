"""The next generators' files, fetched in a thread while the present one is sampled.

Several are fetched ahead, in order, as many as there is room for: one that is sampled in a moment, or comes slowly,
then does not leave the device idle.
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Protocol, TypeVar

from crawler.catalog import CatalogEntry
from samplers.weights.fetching import FetchError
from samplers.weights.store import Placed, WeightStore

#: Generators whose files may be there, or on their way, beside the present one's: a few small ones of a line bridge the
#: time that a large one takes, and more would keep the disk full for nothing.
AHEAD = 3


class _Owed(Protocol):
    @property
    def entry(self) -> CatalogEntry: ...


OwedT = TypeVar("OwedT", bound=_Owed)


def placed(owed: Sequence[OwedT], store: WeightStore) -> Iterator[tuple[OwedT, Placed | FetchError]]:
    """Each generator with its files in place, or why they are not; raises what is not the repository's fault.

    Fetching begins with the call, before the first one is asked for.
    """
    arrivals = [_Arrival(one.entry) for one in owed]
    free = threading.Semaphore(1 + AHEAD)
    store.expect(one.entry for one in owed)
    threading.Thread(target=_fetch, args=(arrivals, store, free), daemon=True).start()

    def one_by_one() -> Iterator[tuple[OwedT, Placed | FetchError]]:
        for one, arrival in zip(owed, arrivals, strict=True):
            yield one, arrival.wait()
            store.release(one.entry)
            free.release()

    return one_by_one()


class _Arrival:
    """A generator's files on their way."""

    def __init__(self, entry: CatalogEntry) -> None:
        self.entry = entry
        self.waited_for = threading.Event()
        self.result: Future[Placed | FetchError] = Future()

    def wait(self) -> Placed | FetchError:
        """The files, or why that repository cannot give them. Raises what is not the repository's fault."""
        self.waited_for.set()
        return self.result.result()


def _fetch(arrivals: Sequence[_Arrival], store: WeightStore, free: threading.Semaphore) -> None:
    for arrival in arrivals:
        free.acquire()
        try:
            arrival.result.set_result(store.place(arrival.entry, arrival.waited_for.is_set))
        except FetchError as error:
            arrival.result.set_result(error)
        except BaseException as error:
            arrival.result.set_exception(error)
            return
