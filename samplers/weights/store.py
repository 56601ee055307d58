"""The weight store: each generator's files in a folder of their own, each content on the node once.

Contents lie in a pool under their hash (`pool`) and are hard-linked to where a pipeline expects them; so what
fine-tunes share is fetched once, whichever supervisor of the node needs it. A generator's files are asked room for
(`room`), fetched some at a time, and removed when it is done.

It handles files and never opens one: what is in them is the child's business.
"""

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from crawler.catalog import CatalogEntry, ModelFile
from samplers.weights.disk_space import Room
from samplers.weights.fetching import Fetched, Fetcher, FetchError, StorageError, checked_name, key_of
from samplers.weights.pool import Pool
from samplers.weights.scratch import Slot
from workspace.layout import generator_folder
from workspace.threads import each

#: Files of one generator fetched at a time: a connection to the Hub's CDN seldom fills a line by itself, and four do.
FILES_AT_A_TIME = 4

#: Seconds until one looks again whether a content that somebody else is fetching has come, or whether there is room.
_LOOK_SECONDS = 0.2

#: What the safety checker is loaded from.
_CHECKER_FILES = ("config.json", "preprocessor_config.json")
_CHECKER_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True)
class Placed:
    """A generator's files, all there and verified."""

    folder: Path
    base_folder: Path | None
    """The base's files, for an adapter."""
    fetch_seconds: float
    """Of its files' downloads, added up although they overlap; what was there or another supervisor fetched is 0."""
    verify_seconds: float
    """The same of their hashes."""


@dataclass(frozen=True)
class _Content:
    """A content to fetch from one place and to put in others."""

    repo_id: str
    revision: str
    file: ModelFile
    paths: list[Path] = field(default_factory=list)


class WeightStore:
    """The store of one supervisor, in its slot; `max_disk`: bytes that all below the weights directory may take.

    `place` may run in another thread than `release`: they touch different generators' folders.
    """

    def __init__(self, slot: Slot, fetcher: Fetcher, max_disk: int | None = None) -> None:
        """Raises `StorageError` where the disk is full or not ours."""
        self._slot, self._fetcher = slot, fetcher
        self._generators, self._checker = slot.path / "generators", slot.path / "checker"
        with self._our_disk():
            self._pool = Pool(slot)
            self._room = Room(slot, self._pool, max_disk)

    def expect(self, entries: Iterable[CatalogEntry]) -> None:
        """Say once which generators will be placed, and in which order: what they share is kept for them."""
        with self._our_disk():
            self._room.expect({entry.model_name: _known_keys(entry) for entry in entries})

    def place(self, entry: CatalogEntry, waited_for: Callable[[], bool] = lambda: True) -> Placed:
        """Put a generator's files in place, fetching what is not in the pool; waits for room on the disk.

        `waited_for`: whether the device is idle until they are there. Raises `FetchError`, `StorageError`, and
        `CancelledError` when the slot's owner is leaving.
        """
        root = self._folder(entry.model_name)
        folder, base_folder = root / "model", root / "base" if entry.base_files else None
        wanted: dict[str, _Content] = {}
        _want(wanted, folder, entry.model_name, entry.revision, entry.files)
        if base_folder is not None:
            if entry.base_model is None or entry.base_revision is None:
                raise FetchError(f"{entry.model_name}: an adapter whose base is not pinned")
            _want(wanted, base_folder, entry.base_model, entry.base_revision, entry.base_files)
        sizes = {key: content.file.size for key, content in wanted.items()}
        with self._our_disk():
            self._wait(lambda: self._room.hold(entry.model_name, sizes, waited_for()))
            try:
                return Placed(folder, base_folder, *self._fill(wanted))
            except BaseException:
                self.release(entry)
                raise

    def release(self, entry: CatalogEntry) -> None:
        """Remove a generator's files, and from the pool what nobody needs any more. Raises `StorageError`."""
        with self._our_disk():
            shutil.rmtree(self._folder(entry.model_name), ignore_errors=True)
            self._room.release(entry.model_name)

    def place_checker(self, repo_id: str, revision: str) -> Path:
        """Put the safety checker's files in place, for the whole run. Raises `FetchError` when the repository lacks
        them, and what `place` raises."""
        _, listed = self._fetcher.listing(repo_id, revision)
        files = {file.path: file for file in listed}
        weights = next((name for name in _CHECKER_WEIGHTS if name in files), None)
        missing = [name for name in _CHECKER_FILES if name not in files]
        if weights is None or missing:
            lacks = ", ".join(missing) or " or ".join(_CHECKER_WEIGHTS)
            raise FetchError(f"{repo_id} at {revision} is no safety checker: it lacks {lacks}")
        wanted: dict[str, _Content] = {}
        _want(wanted, self._checker, repo_id, revision, [files[name] for name in (*_CHECKER_FILES, weights)])
        sizes = {key: content.file.size for key, content in wanted.items()}
        with self._our_disk():
            self._wait(lambda: self._room.keep(repo_id, sizes))
            self._fill(wanted)
        return self._checker

    def _fill(self, wanted: dict[str, _Content]) -> tuple[float, float]:
        """Seconds of fetching and of verifying."""
        # Small ones first: a repository that refuses says so before gigabytes are on their way.
        by_size = sorted(wanted.items(), key=lambda item: (item[1].file.size, item[0]))
        fetched = [one for found in each(lambda item: self._arrive(*item), by_size, FILES_AT_A_TIME) for one in found]
        return sum(one.fetch_seconds for one in fetched), sum(one.verify_seconds for one in fetched)

    def _arrive(self, key: str, content: _Content) -> list[Fetched]:
        """Put a content in its places once it is there, fetching it unless somebody else does: how long that took."""
        fetched: list[Fetched] = []
        left = list(content.paths)

        def put() -> bool:
            while left and self._pool.put(key, left[-1]):
                left.pop()
            return not left

        def there() -> bool:
            if put():
                return True
            with self._pool.claim(key) as scratch:
                if scratch is None:
                    return False
                what = (content.repo_id, content.revision, content.file)
                into = (self._pool.path_of(key), scratch / "download")
                fetched.append(self._fetcher.fetch(*what, *into, self._slot.leaving))
            return put()

        self._wait(there)
        return fetched

    def _wait(self, done: Callable[[], bool]) -> None:
        """Ask until it is done, unless the slot's owner leaves."""
        while not self._slot.leaving.is_set():
            if done():
                return
            self._slot.leaving.wait(_LOOK_SECONDS)
        raise CancelledError

    @contextmanager
    def _our_disk(self) -> Iterator[None]:
        """What goes wrong with files here is this machine's trouble, and no repository's; nor is it any trouble when
        the slot is just being removed."""
        try:
            yield
        except OSError as error:
            if self._slot.leaving.is_set():
                raise CancelledError from error
            raise StorageError(f"--weights-dir: {error}") from error

    def _folder(self, model_name: str) -> Path:
        return self._generators / generator_folder(model_name)


def _want(wanted: dict[str, _Content], folder: Path, repo_id: str, revision: str, files: Sequence[ModelFile]) -> None:
    """Add where files are wanted. Raises `FetchError` for names and hashes that cannot be."""
    names: defaultdict[PurePosixPath, int] = defaultdict(int)
    for file in files:
        name = checked_name(file.path)
        names[name] += 1
        if names[name] > 1:
            raise FetchError(f"{file.path} is listed twice")
        wanted.setdefault(key_of(file), _Content(repo_id, revision, file)).paths.append(folder / name)
    both = next((name for name in names for parent in name.parents if parent in names), None)
    if both is not None:
        raise FetchError(f"{both}: the repository has a file where it also has a folder")


def _known_keys(entry: CatalogEntry) -> list[str]:
    keys = []
    for file in (*entry.files, *entry.base_files):
        try:
            keys.append(key_of(file))
        except FetchError:
            continue
    return keys
