import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from pathlib import Path
from types import SimpleNamespace

import pytest

from localhub.process import HubProcess
from samplers.weights.fetching import Fetcher, FetchError, StorageError, key_of
from samplers.weights.pool import Pool
from samplers.weights.prefetch import AHEAD, placed
from samplers.weights.scratch import Slot
from samplers.weights.store import Placed, WeightStore
from tests.hubs import fill, hub  # noqa: F401
from tests.samplers.inputs import entry_of


@pytest.fixture
def slot(tmp_path: Path) -> Iterator[Slot]:
    with Slot(tmp_path / "weights") as slot:
        yield slot
    assert list(slot.weights_dir.iterdir()) == []


def _owed(hub: HubProcess, count: int) -> list[SimpleNamespace]:  # noqa: F811
    from localhub.store import Store

    for number in range(count):
        fill(hub.directory, f"line/{number}", {"config.json": f"{number}".encode()})
    store = Store(hub.directory)
    return [SimpleNamespace(entry=entry_of(store, f"line/{number}")) for number in range(count)]


def _wait_for(count: int, slot: Slot) -> list[str]:
    """The generators that are there, once they are so many and nothing is on its way."""
    while True:
        there = sorted(path.name for path in slot.path.glob("generators/*") if any(path.rglob("config.json")))
        if len(there) >= count and not any(slot.path.glob("fetching/*")):
            return there
        time.sleep(0.02)


def test_the_next_ones_are_there_while_one_is_sampled_and_no_more(hub: HubProcess, slot: Slot) -> None:  # noqa: F811
    owed = _owed(hub, AHEAD + 3)
    seen = []
    for number, (one, arrived) in enumerate(placed(owed, WeightStore(slot, Fetcher(hub.endpoint)))):
        assert isinstance(arrived, Placed)
        assert (arrived.folder / "config.json").read_bytes() == str(number).encode()
        last = min(number + AHEAD, len(owed) - 1)
        _wait_for(last - number + 1, slot)
        if number == 0:
            # One too many would be on its way by now.
            time.sleep(0.5)
        seen.append(one.entry.model_name)
        assert _wait_for(last - number + 1, slot) == [f"line--{other}" for other in range(number, last + 1)]
    assert seen == [one.entry.model_name for one in owed]


def test_a_repository_that_refuses_costs_itself(hub: HubProcess, slot: Slot) -> None:  # noqa: F811
    owed = _owed(hub, 3)
    hub.fail("status", status=404, path="/line/1/")
    ends = [type(arrived) for _, arrived in placed(owed, WeightStore(slot, Fetcher(hub.endpoint)))]
    assert ends == [Placed, FetchError, Placed]


def test_what_is_no_repositorys_fault_is_raised_when_its_generator_is_due(
    hub: HubProcess,  # noqa: F811
    slot: Slot,
) -> None:
    owed = _owed(hub, 3)
    # What came for the second one cannot be put where it belongs.
    (slot.pool / key_of(owed[1].entry.files[0])).mkdir()
    ends = placed(owed, WeightStore(slot, Fetcher(hub.endpoint)))
    assert isinstance(next(ends)[1], Placed)
    with pytest.raises(StorageError, match="--weights-dir"):
        next(ends)


def test_who_leaves_waits_for_nobody(hub: HubProcess, slot: Slot, tmp_path: Path) -> None:  # noqa: F811
    (one,) = _owed(hub, 1)
    store = WeightStore(slot, Fetcher(hub.endpoint))
    waiting: Future[Placed] = Future()

    def place() -> None:
        try:
            store.place(one.entry)
        except BaseException as error:
            waiting.set_exception(error)

    with Slot(tmp_path / "weights") as other, Pool(other).claim(key_of(one.entry.files[0])):
        threading.Thread(target=place, daemon=True).start()
        while not (slot.path / "needs.json").exists():
            time.sleep(0.01)
        slot.__exit__()
        with pytest.raises(CancelledError):
            waiting.result(20)
