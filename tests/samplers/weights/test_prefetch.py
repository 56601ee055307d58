import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from pathlib import Path
from types import SimpleNamespace

import pytest

from localhub.process import HubProcess
from samplers.weights.fetching import Fetcher, FetchError, StorageError, content_key
from samplers.weights.pool import ContentPool
from samplers.weights.prefetch import AHEAD, prefetched
from samplers.weights.process_folder import ProcessFolder
from samplers.weights.store import LocalFiles, WeightStore
from tests.hubs import fill, hub  # noqa: F401
from tests.samplers.inputs import entry_of
from workspace.hub_access import HubAccess


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[ProcessFolder]:
    with ProcessFolder(tmp_path / "weights") as folder:
        yield folder
    assert list(folder.weights_dir.iterdir()) == []


def _generators(hub: HubProcess, count: int) -> list[SimpleNamespace]:  # noqa: F811
    from localhub.store import Store

    for number in range(count):
        fill(hub.directory, f"line/{number}", {"config.json": f"{number}".encode()})
    store = Store(hub.directory)
    return [SimpleNamespace(entry=entry_of(store, f"line/{number}")) for number in range(count)]


def _wait_for(count: int, folder: ProcessFolder) -> list[str]:
    """The downloaded generators, once they are so many and no download is in progress."""
    while True:
        there = sorted(path.name for path in folder.path.glob("generators/*") if any(path.rglob("config.json")))
        if len(there) >= count and not any(folder.path.glob("fetching/*")):
            return there
        time.sleep(0.02)


def test_the_next_generators_are_downloaded_ahead_and_no_more(hub: HubProcess, folder: ProcessFolder) -> None:  # noqa: F811
    generators = _generators(hub, AHEAD + 3)
    seen = []
    for number, (one, files) in enumerate(
        prefetched(generators, WeightStore(folder, Fetcher(HubAccess(hub.endpoint))))
    ):
        assert isinstance(files, LocalFiles)
        assert (files.folder / "config.json").read_bytes() == str(number).encode()
        last = min(number + AHEAD, len(generators) - 1)
        _wait_for(last - number + 1, folder)
        if number == 0:
            # A further download would have started by now.
            time.sleep(0.5)
        seen.append(one.entry.model_name)
        assert _wait_for(last - number + 1, folder) == [f"line--{other}" for other in range(number, last + 1)]
    assert seen == [one.entry.model_name for one in generators]


def test_a_repository_that_refuses_does_not_affect_others(hub: HubProcess, folder: ProcessFolder) -> None:  # noqa: F811
    generators = _generators(hub, 3)
    hub.fail("status", status=404, path="/line/1/")
    ends = [type(files) for _, files in prefetched(generators, WeightStore(folder, Fetcher(HubAccess(hub.endpoint))))]
    assert ends == [LocalFiles, FetchError, LocalFiles]


def test_an_error_of_this_machine_is_raised_at_its_generator(
    hub: HubProcess,  # noqa: F811
    folder: ProcessFolder,
) -> None:
    generators = _generators(hub, 3)
    # The content of the second one cannot be moved to the pool.
    (folder.pool / content_key(generators[1].entry.files[0])).mkdir()
    ends = prefetched(generators, WeightStore(folder, Fetcher(HubAccess(hub.endpoint))))
    assert isinstance(next(ends)[1], LocalFiles)
    with pytest.raises(StorageError) as failed:
        next(ends)
    assert str(failed.value).startswith(f"--weights-dir {folder.weights_dir}: ")


def test_a_stopping_process_does_not_wait(hub: HubProcess, folder: ProcessFolder, tmp_path: Path) -> None:  # noqa: F811
    (one,) = _generators(hub, 1)
    store = WeightStore(folder, Fetcher(HubAccess(hub.endpoint)))
    waiting: Future[LocalFiles] = Future()

    def fetch() -> None:
        try:
            store.fetch(one.entry)
        except BaseException as error:
            waiting.set_exception(error)

    with ProcessFolder(tmp_path / "weights") as other, ContentPool(other).claim(content_key(one.entry.files[0])):
        threading.Thread(target=fetch, daemon=True).start()
        while not (folder.path / "needs.json").exists():
            time.sleep(0.01)
        folder.__exit__()
        with pytest.raises(CancelledError):
            waiting.result(20)
