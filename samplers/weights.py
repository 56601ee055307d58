"""The weight store: each generator's files in a folder of their own, each content on the disk once.

Contents lie in a pool under their hash and are hard-linked to where a pipeline expects them; so fine-tunes that share
a text encoder fetch it once. When a generator is done its folder goes, and of the pool what no later generator of the
shard needs, or what exceeds the byte budget: those needed soonest stay.

It handles files and never opens one: what is in them is the child's business.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crawler.catalog import CatalogEntry, ModelFile
from samplers.fetching import Fetcher, FetchError, StorageError, checked_name, key_of
from workspace.layout import generator_folder

#: Bytes of files shared with later generators that may wait in the pool.
SHARED_BUDGET = 64 * 2**30

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
    verify_seconds: float


class WeightStore:
    """The store of one supervisor, below `root`, which is its own.

    `place` may run in another thread than `release`: they touch different generators' folders, and `release` keeps
    in the pool whatever a generator to come needs.
    """

    def __init__(self, root: Path, fetcher: Fetcher, shared_budget: int = SHARED_BUDGET) -> None:
        self._fetcher = fetcher
        self._pool, self._incoming, self._generators = root / "pool", root / "incoming", root / "generators"
        self._checker = root / "checker"
        self._shared_budget = shared_budget
        for folder in (self._pool, self._incoming, self._generators):
            folder.mkdir()

    def place(self, entry: CatalogEntry) -> Placed:
        """Put a generator's files in place, fetching what is not in the pool. Raises `FetchError`, `StorageError`."""
        root = self._folder(entry.model_name)
        shutil.rmtree(root, ignore_errors=True)
        folder, base_folder = root / "model", root / "base" if entry.base_files else None
        seconds = self._fill(folder, entry.model_name, entry.revision, entry.files)
        if base_folder is not None:
            if entry.base_model is None or entry.base_revision is None:
                raise FetchError(f"{entry.model_name}: an adapter whose base is not pinned")
            more = self._fill(base_folder, entry.base_model, entry.base_revision, entry.base_files)
            seconds = (seconds[0] + more[0], seconds[1] + more[1])
        return Placed(folder, base_folder, *seconds)

    def release(self, entry: CatalogEntry, upcoming: Sequence[CatalogEntry]) -> None:
        """Remove a generator's folder, and from the pool what the `upcoming` ones (nearest first) do not need or
        what exceeds the budget. The nearest one's files always stay: they may just be arriving."""
        shutil.rmtree(self._folder(entry.model_name), ignore_errors=True)
        wanted: dict[str, int] = {}
        for place, other in enumerate(upcoming):
            for file in (*other.files, *other.base_files):
                wanted.setdefault(_key_or_nothing(file), place)
        stay = sorted((wanted[path.name], path.name) for path in self._pool.iterdir() if path.name in wanted)
        room = self._shared_budget
        kept = set()
        for place, name in stay:
            room -= (self._pool / name).stat().st_size
            if place == 0 or room >= 0:
                kept.add(name)
        for path in self._pool.iterdir():
            # What is not wanted at all may not have been here a moment ago: then it is wanted by the one arriving.
            if path.name not in kept and wanted.get(path.name) != 0:
                path.unlink()

    def place_checker(self, repo_id: str, revision: str) -> Path:
        """Put the safety checker's files in place. Raises `FetchError` when the repository lacks them."""
        _, listed = self._fetcher.listing(repo_id, revision)
        files = {file.path: file for file in listed}
        weights = next((name for name in _CHECKER_WEIGHTS if name in files), None)
        missing = [name for name in _CHECKER_FILES if name not in files]
        if weights is None or missing:
            lacks = ", ".join(missing) or " or ".join(_CHECKER_WEIGHTS)
            raise FetchError(f"{repo_id} at {revision} is no safety checker: it lacks {lacks}")
        self._fill(self._checker, repo_id, revision, [files[name] for name in (*_CHECKER_FILES, weights)])
        return self._checker

    def _fill(self, folder: Path, repo_id: str, revision: str, files: Sequence[ModelFile]) -> tuple[float, float]:
        """Seconds of fetching and of verifying."""
        fetch_seconds = verify_seconds = 0.0
        for file in files:
            name, key = checked_name(file.path), key_of(file)
            blob = self._pool / key
            if not blob.exists():
                fetched = self._fetcher.fetch(repo_id, revision, file, blob, self._incoming / key)
                fetch_seconds += fetched.fetch_seconds
                verify_seconds += fetched.verify_seconds
            _link(blob, folder / name)
        return fetch_seconds, verify_seconds

    def _folder(self, model_name: str) -> Path:
        return self._generators / generator_folder(model_name)


def _link(blob: Path, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise FetchError(f"{path.name}: the repository has a file where it also has a folder") from error
    except OSError as error:
        raise StorageError(f"--weights-dir: {error}") from error
    try:
        os.link(blob, path)
    except FileExistsError as error:
        raise FetchError(f"{path.name} is listed twice") from error
    except OSError:
        # Some file systems know no hard links.
        try:
            shutil.copyfile(blob, path)
        except OSError as error:
            raise StorageError(f"--weights-dir: {error}") from error


def _key_or_nothing(file: ModelFile) -> str:
    try:
        return key_of(file)
    except FetchError:
        return ""
