"""The store of `cf-fetch`: it downloads contents into the pool for others, keeps them until they are sampled, and frees
them then.

It is one more process of the weights directory, with its reservations (`disk_space`): those of a generator that it has
fetched last until that generator is done, or until another one is waited for.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from crawler.catalog import CatalogEntry
from samplers.weights.checker_list import read_checker_list, write_checker_list
from samplers.weights.fetching import Fetcher, FetchError
from samplers.weights.notes import Notes
from samplers.weights.process_folder import ProcessFolder
from samplers.weights.store import Downloader, sizes_of
from samplers.weights.wanted import Wanted, add_wanted, known_keys, wanted_of


class FillingStore(Downloader):
    """The store of one `cf-fetch`; its methods raise `StorageError`, and `CancelledError` when the process is stopping.

    `max_disk`: bytes that everything below the weights directory may take.
    """

    def __init__(self, folder: ProcessFolder, fetcher: Fetcher, max_disk: int | None) -> None:
        super().__init__(folder, fetcher, max_disk)
        self.notes = Notes(folder)

    def fill_checker(self, repo_id: str, revision: str) -> None:
        """Download the safety checker, for the whole run, and list its files for those who do not ask the Hub. Raises
        `FetchError`."""
        files = self._checker_files(repo_id, revision)
        wanted: Wanted = {}
        add_wanted(wanted, self._checker, repo_id, revision, files)
        with self._as_storage_error():
            self._wait(lambda: self._space.reserve_for_run(repo_id, sizes_of(wanted)))
            self._fill(_without_paths(wanted))
            write_checker_list(self._folder.weights_dir, repo_id, revision, files)

    def has_checker(self, repo_id: str, revision: str) -> bool:
        """Whether the checker's files and their list are there."""
        with self._as_storage_error():
            files = read_checker_list(self._folder.weights_dir, repo_id, revision)
            if files is None:
                return False
            wanted: Wanted = {}
            add_wanted(wanted, self._checker, repo_id, revision, files)
            return self._pool.names() >= wanted.keys()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A block in which no other process of the weights directory gets space or ends, unless it is killed."""
        with self._as_storage_error(), self._folder.lock:
            yield

    def hold(self, entries: Iterable[CatalogEntry]) -> list[str]:
        """Keep the contents of those generators that are complete until they are done; returns their names."""
        contents = {}
        for entry in entries:
            with suppress(FetchError):  # a row that cannot be downloaded fails when its turn comes
                contents[entry.generator] = sizes_of(wanted_of(entry, self._folder_of(entry.generator))[0])
        with self._as_storage_error():
            return self._space.hold(contents)

    def reserve(self, entry: CatalogEntry, *, is_urgent: bool) -> bool:
        """Reserve space for a generator until it is done; False: there is none now. `is_urgent`: nothing else is held.
        Raises `FetchError` for one that can never fit."""
        wanted, _ = wanted_of(entry, self._folder_of(entry.generator))
        with self._as_storage_error():
            return self._space.reserve(entry.generator, sizes_of(wanted), is_urgent)

    def fill(self, entry: CatalogEntry) -> None:
        """Download what is missing of a generator that has space, and verify what was there. Raises `FetchError`."""
        wanted, _ = wanted_of(entry, self._folder_of(entry.generator))
        with self._as_storage_error():
            self._fill(_without_paths(wanted))

    def stored(self) -> set[str]:
        """The keys of all contents that are there."""
        with self._as_storage_error():
            return self._pool.names()

    def drop(self, entry: CatalogEntry) -> None:
        """Keep a generator's contents only while nobody needs the space."""
        with self._as_storage_error():
            self._space.drop(entry.generator)

    def free(self, done: Collection[CatalogEntry], unfinished: Iterable[CatalogEntry]) -> None:
        """Remove the contents of generators that are done, but for those that others need or that anybody uses."""
        keys = {key for entry in done for key in known_keys(entry)}
        needed = {key for entry in unfinished for key in known_keys(entry)}
        with self._as_storage_error():
            self._space.free([entry.generator for entry in done], keys, needed)

    def in_use(self) -> set[str]:
        """The generators that other running processes hold: those being sampled, and those of other `cf-fetch`."""
        with self._as_storage_error():
            return self._space.users


def _without_paths(wanted: Wanted) -> Wanted:
    """The contents for the pool alone."""
    return {key: replace(content, paths=[]) for key, content in wanted.items()}
