"""The weight store: the files of each generator in a folder of their own, each content on the node once.

Contents are stored in a pool under their hash (`pool`) and hard-linked to where a pipeline expects them. So what
fine-tunes share is downloaded once, whichever supervisor of the node needs it. Before a generator's files are
downloaded, several at a time, space for them is reserved (`disk_space`); they are removed when the generator is done.

It never opens a file: that is done in the child only.
"""

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from crawler.catalog import CatalogEntry, ModelFile
from samplers.weights.disk_space import DiskSpace
from samplers.weights.fetching import (
    STORAGE_REMEDY,
    Fetched,
    Fetcher,
    FetchError,
    StorageError,
    checked_path,
    content_key,
)
from samplers.weights.pool import ContentPool
from samplers.weights.process_folder import ProcessFolder
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


@dataclass(frozen=True)
class _Content:
    """A content to download from one place, and the paths it is needed at."""

    repo_id: str
    revision: str
    file: ModelFile
    crawled_from: str | None
    """URL of the Hub on which the catalogue found it."""
    paths: list[Path] = field(default_factory=list)


class WeightStore:
    """The store of one supervisor, in its process folder.

    `max_disk`: bytes that everything below the weights directory may take. `fetch` may run in another thread than
    `release`: they use different generators' folders.
    """

    def __init__(self, folder: ProcessFolder, fetcher: Fetcher, max_disk: int | None = None) -> None:
        """Raises `StorageError` where the disk is full or cannot be written."""
        self._folder, self._fetcher = folder, fetcher
        self._generators, self._checker = folder.path / "generators", folder.path / "checker"
        with self._as_storage_error():
            self._pool = ContentPool(folder)
            self._space = DiskSpace(folder, self._pool, max_disk)

    def announce(self, entries: Iterable[CatalogEntry]) -> None:
        """State once which generators will be fetched, and in which order: contents that they share are kept."""
        with self._as_storage_error():
            self._space.announce({entry.generator: _known_keys(entry) for entry in entries})

    @property
    def is_hub_away(self) -> bool:
        """Whether a download waits because the Hub does not answer well."""
        return self._fetcher.watch.is_away

    def has(self, entry: CatalogEntry) -> bool:
        """Whether all contents of a generator are on this disk."""
        keys = _known_keys(entry)
        return len(keys) == len(entry.all_files) and all(self._pool.path_of(key).exists() for key in keys)

    def fetch(self, entry: CatalogEntry, is_urgent: Callable[[], bool] = lambda: True) -> LocalFiles:
        """A generator's files, downloaded as far as they are not in the pool; waits for space on the disk.

        `is_urgent`: whether the device is idle until they are complete. Raises `FetchError`, `StorageError`, and
        `CancelledError` when this process is stopping.
        """
        wanted, folders = self._wanted(entry)
        sizes = {key: content.file.size for key, content in wanted.items()}
        with self._as_storage_error():
            self._wait(lambda: self._space.reserve(entry.generator, sizes, is_urgent()))
            try:
                return LocalFiles(*folders, *self._fill(wanted))
            except BaseException:
                self.release(entry)
                raise

    def fetch_local(self, entry: CatalogEntry) -> LocalFiles | None:
        """A generator's files if all are in the pool; None where one would have to be downloaded."""
        wanted, folders = self._wanted(entry)
        sizes = {key: content.file.size for key, content in wanted.items()}
        with self._as_storage_error():
            if not self._space.reserve(entry.generator, sizes, urgent=False):
                return None
            try:
                if all(self._pool.put(key, path) for key, content in wanted.items() for path in content.paths):
                    return LocalFiles(*folders, 0.0, 0.0)
            except BaseException:
                self.release(entry)
                raise
            self.release(entry)
        return None

    def _wanted(self, entry: CatalogEntry) -> tuple[dict[str, _Content], tuple[Path, Path | None, Path | None]]:
        """The contents of a generator, and the folders of its own files, its base model's and its prior's."""
        root = self._folder_of(entry.generator)
        folder = root / "model"
        wanted: dict[str, _Content] = {}
        _add_wanted(wanted, folder, entry.model_name, entry.revision, entry.files, entry.endpoint)
        others: list[Path | None] = []
        for name, what, repo_id, revision, files in (
            ("base", "base model", entry.base_model, entry.base_revision, entry.base_files),
            ("prior", "prior", entry.prior_model, entry.prior_revision, entry.prior_files),
        ):
            others.append(root / name if files else None)
            if not files:
                continue
            if repo_id is None or revision is None:
                detail = f"the catalogue has no revision of its {what}; crawl again with `cf-crawl`"
                raise FetchError(f"{entry.generator}: {detail}")
            _add_wanted(wanted, root / name, repo_id, revision, files, entry.endpoint)
        return wanted, (folder, others[0], others[1])

    def release(self, entry: CatalogEntry) -> None:
        """Remove a generator's files, and from the pool what nobody needs any more. Raises `StorageError`."""
        with self._as_storage_error():
            shutil.rmtree(self._folder_of(entry.generator), ignore_errors=True)
            self._space.release(entry.generator)

    def fetch_checker(self, repo_id: str, revision: str) -> Path:
        """The folder of the safety checker's files, for the whole run. Raises `FetchError` when the repository has no
        safety checker, and the errors of `fetch`."""
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
        wanted: dict[str, _Content] = {}
        _add_wanted(wanted, self._checker, repo_id, revision, [files[name] for name in (*_CHECKER_FILES, weights)])
        sizes = {key: content.file.size for key, content in wanted.items()}
        with self._as_storage_error():
            self._wait(lambda: self._space.reserve_for_run(repo_id, sizes))
            self._fill(wanted)
        return self._checker

    def _fill(self, wanted: dict[str, _Content]) -> tuple[float, float]:
        """Put all contents at their paths; seconds of downloading and of verifying."""
        # Small files first: a repository that refuses does so before gigabytes are downloaded.
        by_size = sorted(wanted.items(), key=lambda item: (item[1].file.size, item[0]))
        fetched = [one for found in each(lambda item: self._obtain(*item), by_size, FILES_AT_A_TIME) for one in found]
        return sum(one.fetch_seconds for one in fetched), sum(one.verify_seconds for one in fetched)

    def _obtain(self, key: str, content: _Content) -> list[Fetched]:
        """Put a content at its paths, downloading it unless another process does; the seconds of a download."""
        fetched: list[Fetched] = []
        left = list(content.paths)

        def put() -> bool:
            while left and self._pool.put(key, left[-1]):
                left.pop()
            return not left

        def obtained() -> bool:
            if put():
                return True
            with self._pool.claim(key) as scratch:
                if scratch is None:
                    return False
                source = (content.repo_id, content.revision, content.file)
                target = (self._pool.path_of(key), scratch / "download")
                fetched.append(self._fetcher.fetch(*source, *target, self._folder.stopping, content.crawled_from))
            return put()

        self._wait(obtained)
        return fetched

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
            raise StorageError(f"--weights-dir: {error}; {STORAGE_REMEDY}") from error

    def _folder_of(self, generator: str) -> Path:
        return self._generators / generator_folder(generator)


def _add_wanted(
    wanted: dict[str, _Content],
    folder: Path,
    repo_id: str,
    revision: str,
    files: Sequence[ModelFile],
    crawled_from: str | None = None,
) -> None:
    """Add the files to `wanted`, to be put into `folder`. Raises `FetchError` for invalid names and hashes."""
    names: defaultdict[PurePosixPath, int] = defaultdict(int)
    for file in files:
        name = checked_path(file.path)
        names[name] += 1
        if names[name] > 1:
            raise FetchError(f"{file.path} is listed twice")
        content = wanted.setdefault(content_key(file), _Content(repo_id, revision, file, crawled_from))
        content.paths.append(folder / name)
    both = next((name for name in names for parent in name.parents if parent in names), None)
    if both is not None:
        raise FetchError(f"{both}: the repository has a file and a folder of this name")


def _known_keys(entry: CatalogEntry) -> list[str]:
    keys = []
    for file in entry.all_files:
        try:
            keys.append(content_key(file))
        except FetchError:
            continue
    return keys
