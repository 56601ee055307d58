"""The weight store: the files of each generator in a folder of their own, each content on the node once.

Contents are stored in a pool under their hash (`pool`) and hard-linked to where a pipeline expects them. So what
fine-tunes share is downloaded once, whichever supervisor of the node needs it. Before a generator's files are
downloaded, several at a time, space for them is reserved (`disk_space`); they are removed when the generator is done.

It never opens a file: that is done in the child only.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crawler.catalog import CatalogEntry, ModelFile
from samplers.weights.disk_space import DiskSpace
from samplers.weights.fetching import STORAGE_REMEDY, Fetched, Fetcher, FetchError, StorageError
from samplers.weights.pool import ContentPool
from samplers.weights.process_folder import ProcessFolder
from samplers.weights.wanted import Content, Wanted, add_wanted, known_keys, wanted_of
from workspace.layout import generator_folder
from workspace.threads import each

#: Files of one generator downloaded at a time: one connection to the Hub's CDN seldom fills a line, and four do.
FILES_AT_A_TIME = 4

#: Seconds between two looks whether another process has downloaded a content, or whether there is space.
_WAIT_SECONDS = 0.2

#: The files that the safety checker is loaded from.
_CHECKER_FILES = ("config.json", "preprocessor_config.json")
_CHECKER_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True)
class LocalFiles:
    """A generator's files on this node, complete and verified."""

    folder: Path
    base_folder: Path | None
    """The base model's files, for an adapter."""
    prior_folder: Path | None
    """The prior's files, for a decoder that needs one."""
    fetch_seconds: float
    """Seconds of all downloads, added up although they overlap; 0 for files that existed or that another supervisor
    downloaded."""
    verify_seconds: float
    """Seconds of computing their hashes, likewise."""


class PoolUser:
    """What all stores of a weights directory have: the pool, the space in it, and the folders of generators."""

    def __init__(self, folder: ProcessFolder, max_disk: int | None = None) -> None:
        """`max_disk`: bytes that everything below the weights directory may take. Raises `StorageError` where the disk
        is full or cannot be written."""
        self._folder = folder
        self._generators, self._checker = folder.path / "generators", folder.path / "checker"
        with self._as_storage_error():
            self._pool = ContentPool(folder)
            self._space = DiskSpace(folder, self._pool, max_disk)

    def announce(self, entries: Iterable[CatalogEntry]) -> None:
        """State once which generators will be fetched, and in which order: contents that they share are kept."""
        with self._as_storage_error():
            self._space.announce({entry.generator: known_keys(entry) for entry in entries})

    def has(self, entry: CatalogEntry) -> bool:
        """Whether all contents of a generator are on this disk."""
        keys = known_keys(entry)
        return len(keys) == len(entry.all_files) and all(self._pool.path_of(key).exists() for key in keys)

    def release(self, entry: CatalogEntry) -> None:
        """Remove a generator's files, and from the pool what nobody needs any more. Raises `StorageError`."""
        with self._as_storage_error():
            shutil.rmtree(self._folder_of(entry.generator), ignore_errors=True)
            self._space.release(entry.generator)

    def _wait(self, is_done: Callable[[], bool]) -> None:
        """Call `is_done` until it is true. Raises `CancelledError` when this process is stopping."""
        while not self._folder.stopping.is_set():
            if is_done():
                return
            self._folder.stopping.wait(_WAIT_SECONDS)
        raise CancelledError

    @contextmanager
    def _as_storage_error(self) -> Iterator[None]:
        """Errors of files here are this machine's, not a repository's; and no errors while the folder is removed."""
        try:
            yield
        except OSError as error:
            if self._folder.stopping.is_set():
                raise CancelledError from error
            raise StorageError(f"--weights-dir {self._folder.weights_dir}: {error}; {STORAGE_REMEDY}") from error

    def _folder_of(self, generator: str) -> Path:
        return self._generators / generator_folder(generator)


class Downloader(PoolUser):
    """What stores have that download: contents are put into the pool, each by one process."""

    def __init__(self, folder: ProcessFolder, fetcher: Fetcher, max_disk: int | None = None) -> None:
        super().__init__(folder, max_disk)
        self._fetcher = fetcher

    def _checker_files(self, repo_id: str, revision: str) -> list[ModelFile]:
        """The files of a safety checker. Raises `FetchError` when the repository has none."""
        _, listed = self._fetcher.listing(repo_id, revision)
        files = {file.path: file for file in listed}
        weights = next((name for name in _CHECKER_WEIGHTS if name in files), None)
        missing = [name for name in _CHECKER_FILES if name not in files]
        if weights is None or missing:
            absent = ", ".join(missing) or " or ".join(_CHECKER_WEIGHTS)
            raise FetchError(f"--safety-checker {repo_id}: not a safety checker, it has no {absent}")
        # Also where they are here already: the Hub has these for certain.
        for name in (_CHECKER_FILES[0], weights):
            self._fetcher.know(repo_id, revision, files[name])
        return [files[name] for name in (*_CHECKER_FILES, weights)]

    def _fill(self, wanted: Wanted) -> tuple[float, float]:
        """Put all contents into the pool and at their paths; seconds of downloading and of verifying."""
        # Small files first: a repository that refuses does so before gigabytes are downloaded.
        by_size = sorted(wanted.items(), key=lambda item: (item[1].file.size, item[0]))
        fetched = [one for found in each(lambda item: self._obtain(*item), by_size, FILES_AT_A_TIME) for one in found]
        return sum(one.fetch_seconds for one in fetched), sum(one.verify_seconds for one in fetched)

    def _obtain(self, key: str, content: Content) -> list[Fetched]:
        """Put a content at its paths, downloading it unless another process does; the seconds of a download. Without
        paths it is put into the pool only."""
        fetched: list[Fetched] = []
        left = list(content.paths)

        def put() -> bool:
            while left and self._pool.put(key, left[-1]):
                left.pop()
            return not left and (bool(content.paths) or self._pool.holds(key))

        def obtained() -> bool:
            if put():
                return True
            with self._pool.claim(key) as scratch:
                if scratch is None:
                    return False
                source = (content.repo_id, content.revision, content.file)
                target = (self._pool.path_of(key), scratch / "download")
                fetched.append(self._fetcher.fetch(*source, *target, self._folder.stopping, content.crawled_from))
                self._pool.trust(key)
            return put()

        self._wait(obtained)
        return fetched


class WeightStore(Downloader):
    """The store of one supervisor, in its process folder.

    `fetch` may run in another thread than `release`: they use different generators' folders.
    """

    @property
    def is_hub_away(self) -> bool:
        """Whether a download waits because the Hub does not answer well."""
        return self._fetcher.watch.is_away

    def next_of(self, entries: Sequence[CatalogEntry], is_urgent: Callable[[], bool]) -> int:  # noqa: ARG002
        """Which of the generators that are left is fetched next: the first one."""
        return 0

    def lacking(self, entries: Iterable[CatalogEntry]) -> set[str]:  # noqa: ARG002
        """Which of these cannot be fetched now: none."""
        return set()

    def fetch(self, entry: CatalogEntry, is_urgent: Callable[[], bool] = lambda: True) -> LocalFiles:
        """A generator's files, downloaded as far as they are not in the pool; waits for space on the disk.

        `is_urgent`: whether the device is idle until they are complete. Raises `FetchError`, `StorageError`, and
        `CancelledError` when this process is stopping.
        """
        wanted, folders = wanted_of(entry, self._folder_of(entry.generator))
        sizes = sizes_of(wanted)
        with self._as_storage_error():
            self._wait(lambda: self._space.reserve(entry.generator, sizes, is_urgent()))
            try:
                return LocalFiles(*folders, *self._fill(wanted))
            except BaseException:
                self.release(entry)
                raise

    def fetch_local(self, entry: CatalogEntry) -> LocalFiles | None:
        """A generator's files if all are in the pool; None where one would have to be downloaded."""
        wanted, folders = wanted_of(entry, self._folder_of(entry.generator))
        with self._as_storage_error():
            if not self._space.reserve(entry.generator, sizes_of(wanted), urgent=False):
                return None
            try:
                if all(self._pool.put(key, path) for key, content in wanted.items() for path in content.paths):
                    return LocalFiles(*folders, 0.0, 0.0)
            except BaseException:
                self.release(entry)
                raise
            self.release(entry)
        return None

    def fetch_checker(self, repo_id: str, revision: str) -> Path:
        """The folder of the safety checker's files, for the whole run. Raises `FetchError` when the repository has no
        safety checker, and the errors of `fetch`."""
        wanted: Wanted = {}
        add_wanted(wanted, self._checker, repo_id, revision, self._checker_files(repo_id, revision))
        with self._as_storage_error():
            self._wait(lambda: self._space.reserve_for_run(repo_id, sizes_of(wanted)))
            self._fill(wanted)
        return self._checker


def sizes_of(wanted: Mapping[str, Content]) -> dict[str, int]:
    """The bytes of contents."""
    return {key: content.file.size for key, content in wanted.items()}
