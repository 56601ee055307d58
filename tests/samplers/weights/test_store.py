import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from crawler.catalog import ModelFile
from localhub.process import HubProcess
from localhub.store import Store
from samplers.weights.fetching import Fetcher, FetchError
from samplers.weights.scratch import Slot
from samplers.weights.store import WeightStore
from tests.samplers.conftest import BASE, CHECKER, FINETUNE, PIXELS
from tests.samplers.inputs import entry_of, model_files


@pytest.fixture
def slot(tmp_path: Path) -> Iterator[Slot]:
    with Slot(tmp_path / "weights") as slot:
        yield slot
    assert list(slot.weights_dir.iterdir()) == []


@pytest.fixture
def weights(hub: HubProcess, slot: Slot) -> WeightStore:
    hub.clear_requests()
    return WeightStore(slot, Fetcher(hub.endpoint))


def _pool(slot: Slot) -> set[str]:
    return {path.name for path in slot.pool.iterdir()}


def _keys(store: Store, name: str) -> set[str]:
    return {file.sha256 or f"git-{file.git_oid}" for file in model_files(store, name)[1]}


def _downloads(hub: HubProcess) -> list[str]:
    return [row["path"] for row in hub.requests() if row["method"] == "GET" and "/resolve/" in row["path"]]


def test_files_lie_where_a_pipeline_expects_them(store: Store, weights: WeightStore) -> None:
    entry = entry_of(store, BASE)
    placed = weights.place(entry)
    found = {path.relative_to(placed.folder).as_posix() for path in placed.folder.rglob("*") if path.is_file()}
    assert found == {file.path for file in entry.files}
    assert placed.base_folder is None
    assert placed.fetch_seconds > 0


def test_what_two_generators_share_is_fetched_once(
    store: Store, hub: HubProcess, weights: WeightStore, slot: Slot
) -> None:
    first, second = entry_of(store, BASE), entry_of(store, FINETUNE)
    weights.expect([first, second])
    weights.place(first)
    weights.release(first)
    assert _pool(slot) == _keys(store, BASE) & _keys(store, FINETUNE)
    before = len(_downloads(hub))
    weights.place(second)
    assert len(_downloads(hub)) - before == len(_keys(store, FINETUNE) - _keys(store, BASE)) == 1


def test_what_nobody_needs_any_more_is_removed(store: Store, weights: WeightStore, slot: Slot) -> None:
    entry = entry_of(store, PIXELS)
    weights.expect([entry])
    weights.place(entry)
    weights.release(entry)
    assert _pool(slot) == set()
    assert [path.name for path in slot.path.rglob("*") if path.is_file()] == ["order.json", "needs.json"]


def test_an_adapter_comes_with_its_base(store: Store, weights: WeightStore) -> None:
    base = entry_of(store, BASE)
    adapter = dataclasses.replace(
        entry_of(store, PIXELS), base_model=BASE, base_revision=base.revision, base_files=base.files, kind="lora"
    )
    placed = weights.place(adapter)
    assert placed.base_folder is not None
    assert (placed.base_folder / "model_index.json").is_file()
    assert (placed.folder / "model_index.json").read_bytes() != (placed.base_folder / "model_index.json").read_bytes()


@pytest.mark.parametrize("path", ["../../escaped", "/escaped", "unet/../../../escaped"])
def test_no_file_leaves_the_generators_folder(store: Store, weights: WeightStore, tmp_path: Path, path: str) -> None:
    entry = entry_of(store, PIXELS)
    hostile = dataclasses.replace(entry, files=(dataclasses.replace(entry.files[0], path=path),))
    with pytest.raises(FetchError, match="no file name"):
        weights.place(hostile)
    assert not list(tmp_path.rglob("escaped"))


def test_a_name_that_is_both_file_and_folder_is_refused(store: Store, weights: WeightStore) -> None:
    entry = entry_of(store, PIXELS)
    file = entry.files[0]
    below = ModelFile(path=f"{file.path}/below", size=file.size, sha256=file.sha256, git_oid=file.git_oid)
    for clash in (below, file):
        with pytest.raises(FetchError, match=r"folder|twice"):
            weights.place(dataclasses.replace(entry, files=(file, clash)))


def test_the_checker_is_found_by_its_files(store: Store, weights: WeightStore) -> None:
    commit = store.commit_of(store.repo("model", CHECKER)).id
    folder = weights.place_checker(CHECKER, commit)
    names = {path.name for path in folder.iterdir()}
    assert names == {"config.json", "preprocessor_config.json", "pytorch_model.bin"}
    with pytest.raises(FetchError, match="is no safety checker: it lacks"):
        weights.place_checker(PIXELS, model_files(store, PIXELS)[0])
