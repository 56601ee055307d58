"""The next generator's files, fetched in a thread while the present one is sampled."""

import queue
import threading
from collections.abc import Iterator, Sequence

from crawler.catalog import CatalogEntry
from samplers.fetching import FetchError
from samplers.survey import Owed
from samplers.weights import Placed, WeightStore


def placed(owed: Sequence[Owed], store: WeightStore) -> Iterator[tuple[Owed, Placed | FetchError]]:
    """Each generator with its files in place, or why they are not; the next one's are fetched in the meantime."""
    entries = [one.entry for one in owed]
    arriving = _Arrival(store, entries[0])
    for number, one in enumerate(owed):
        arrived = arriving.wait()
        upcoming = entries[number + 1 :]
        if upcoming:
            arriving = _Arrival(store, upcoming[0])
        yield one, arrived
        store.release(one.entry, upcoming)


class _Arrival:
    """A generator's files on their way, in a thread that does not keep the process alive."""

    def __init__(self, store: WeightStore, entry: CatalogEntry) -> None:
        self._result: queue.SimpleQueue[Placed | Exception] = queue.SimpleQueue()
        threading.Thread(target=self._fetch, args=(store, entry), daemon=True).start()

    def wait(self) -> Placed | FetchError:
        """The files, or why that repository cannot give them. Raises what is not the repository's fault."""
        result = self._result.get()
        if isinstance(result, Placed | FetchError):
            return result
        raise result

    def _fetch(self, store: WeightStore, entry: CatalogEntry) -> None:
        try:
            self._result.put(store.place(entry))
        except Exception as error:
            self._result.put(error)
