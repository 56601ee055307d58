"""A Hub with small generators of random contents, which are fetched and never loaded."""

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crawler.catalog import CatalogEntry
from localhub.process import HubProcess
from localhub.store import Store
from samplers.fetch.fetch import FetchReport, fetch
from samplers.fetch.options import FetchOptions
from samplers.outcomes import Outcome, write_outcome
from samplers.weights.offline import OfflineStore
from samplers.weights.process_folder import ProcessFolder
from tests.hubs import fill
from tests.samplers.inputs import entry_of, write_catalog
from workspace.layout import Workspace

#: Bytes of the weights of each generator.
CONTENT = 100_000
CHECKER = "safety/checker"


class Site:
    """A shared file system with a workspace and a store, and a Hub that only `cf-fetch` reaches."""

    def __init__(self, hub: HubProcess, folder: Path) -> None:
        self.hub, self.store = hub, Store(hub.directory)
        self.workspace, self.weights = Workspace.open(folder / "workspace"), folder / "weights"
        self.entries: list[CatalogEntry] = []
        if not self.store.exists("model", CHECKER):
            files = {name: name.encode() for name in ("config.json", "preprocessor_config.json", "model.safetensors")}
            fill(hub.directory, CHECKER, files)
        self.checker = f"{CHECKER}@{self.store.commit_of(self.store.repo('model', CHECKER)).id}"

    def make(self, *words: str) -> None:
        """Generators in this order: of each letter of a word one has the contents."""
        for rank, word in enumerate(words, start=1):
            name = f"line/{word}"
            if not self.store.exists("model", name):
                files = {f"{letter}.safetensors": random.Random(letter).randbytes(CONTENT) for letter in word}
                fill(self.hub.directory, name, files)
            self.entries.append(entry_of(self.store, name, rank, task="unconditional"))
        write_catalog(self.workspace, self.entries)

    def options(self, **changes: object) -> FetchOptions:
        values = {"weights_dir": self.weights, "endpoint": self.hub.endpoint, "safety_checker": self.checker}
        return FetchOptions(**values | changes)  # type: ignore[arg-type]

    def fetch(self, **changes: object) -> FetchReport:
        return fetch(self.workspace, self.options(**changes))

    def downloads(self) -> list[str]:
        """The weights that were downloaded from the Hub, in order."""
        rows = [row["path"].rsplit("/", 1)[-1] for row in self.hub.requests() if "/resolve/" in row["path"]]
        return [name[0] for name in rows if len(name) == len("a.safetensors")]

    def stored(self) -> set[str]:
        """The letters whose contents are in the store."""
        sizes = {path.name: path.stat().st_size for path in (self.weights / "pool").glob("*")}
        found = {letter: self.key(letter) for entry in self.entries for letter in entry.model_name.partition("/")[2]}
        return {letter for letter, key in found.items() if sizes.get(key) == CONTENT}

    def key(self, letter: str) -> str:
        """The key of a letter's content."""
        return next(
            str(file.sha256) for entry in self.entries for file in entry.files if file.path == f"{letter}.safetensors"
        )

    def finish(self, word: str) -> None:
        """Record that a generator needs no files any more."""
        entry = next(entry for entry in self.entries if entry.model_name == f"line/{word}")
        outcome = Outcome(model_name=entry.model_name, revision=entry.revision, status="load-failed", detail="test")
        write_outcome(self.workspace, outcome)

    def offline(self, folder: ProcessFolder, **options: object) -> OfflineStore:
        """The store of a sampler."""
        values: dict[str, object] = {"wait": 0.0, "command": "cf-fetch --weights-dir HERE", "say": lambda _: None}
        return OfflineStore(folder, **values | options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def small_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("small-hub")) as running:
        yield running


@pytest.fixture
def site(small_hub: HubProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr("samplers.fetch.fetch.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("samplers.weights.offline.FIRST_LOOK", 0.05)
    small_hub.clear_requests()
    yield Site(small_hub, tmp_path)
    small_hub.clear_faults()


@pytest.fixture
def in_background(site: Site) -> Iterator[Callable[..., threading.Thread]]:
    """Runs `cf-fetch` in a thread, as on another machine."""
    threads: list[threading.Thread] = []

    def start(**changes: object) -> threading.Thread:
        threads.append(threading.Thread(target=site.fetch, kwargs=changes, daemon=True))
        threads[-1].start()
        return threads[-1]

    yield start
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
