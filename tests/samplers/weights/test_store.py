import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from crawler.catalog import ModelFile
from localhub.process import HubProcess
from localhub.store import Store
from samplers.weights.fetching import Fetcher, FetchError
from samplers.weights.process_folder import ProcessFolder
from samplers.weights.store import WeightStore
from tests.samplers.conftest import BASE, CHECKER, FINETUNE, PIXELS
from tests.samplers.inputs import entry_of, model_files
from workspace.hub_access import HubAccess


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[ProcessFolder]:
    with ProcessFolder(tmp_path / "weights") as folder:
        yield folder
    assert list(folder.weights_dir.iterdir()) == []


@pytest.fixture
def weights(hub: HubProcess, folder: ProcessFolder) -> WeightStore:
    hub.clear_requests()
    return WeightStore(folder, Fetcher(HubAccess(hub.endpoint)))


def _pool(folder: ProcessFolder) -> set[str]:
    return {path.name for path in folder.pool.iterdir()}


def _keys(store: Store, name: str) -> set[str]:
    return {file.sha256 or f"git-{file.git_oid}" for file in model_files(store, name)[1]}


def _downloads(hub: HubProcess) -> list[str]:
    return [row["path"] for row in hub.requests() if row["method"] == "GET" and "/resolve/" in row["path"]]


def test_files_are_where_a_pipeline_expects_them(store: Store, weights: WeightStore) -> None:
    entry = entry_of(store, BASE)
    files = weights.fetch(entry)
    found = {path.relative_to(files.folder).as_posix() for path in files.folder.rglob("*") if path.is_file()}
    assert found == {file.path for file in entry.files}
    assert files.base_folder is None
    assert files.fetch_seconds > 0


def test_files_that_two_generators_share_are_downloaded_once(
    store: Store, hub: HubProcess, weights: WeightStore, folder: ProcessFolder
) -> None:
    first, second = entry_of(store, BASE), entry_of(store, FINETUNE)
    weights.announce([first, second])
    weights.fetch(first)
    weights.release(first)
    assert _pool(folder) == _keys(store, BASE) & _keys(store, FINETUNE)
    before = len(_downloads(hub))
    weights.fetch(second)
    assert len(_downloads(hub)) - before == len(_keys(store, FINETUNE) - _keys(store, BASE)) == 1


def test_files_that_are_not_needed_any_more_are_removed(
    store: Store, weights: WeightStore, folder: ProcessFolder
) -> None:
    entry = entry_of(store, PIXELS)
    weights.announce([entry])
    weights.fetch(entry)
    weights.release(entry)
    assert _pool(folder) == set()
    assert [path.name for path in folder.path.rglob("*") if path.is_file()] == ["order.json", "needs.json"]


def test_an_adapter_is_downloaded_with_its_base(store: Store, weights: WeightStore) -> None:
    base = entry_of(store, BASE)
    adapter = dataclasses.replace(
        entry_of(store, PIXELS), base_model=BASE, base_revision=base.revision, base_files=base.files, kind="lora"
    )
    files = weights.fetch(adapter)
    assert files.base_folder is not None
    assert (files.base_folder / "model_index.json").is_file()
    assert (files.folder / "model_index.json").read_bytes() != (files.base_folder / "model_index.json").read_bytes()


def test_a_decoder_is_downloaded_with_its_prior(store: Store, weights: WeightStore, folder: ProcessFolder) -> None:
    prior = entry_of(store, FINETUNE)
    decoder = dataclasses.replace(
        entry_of(store, PIXELS), prior_model=FINETUNE, prior_revision=prior.revision, prior_files=prior.files
    )
    weights.announce([decoder])
    both = _keys(store, FINETUNE) | _keys(store, PIXELS)
    # What other supervisors know that this one needs.
    assert json.loads((folder.path / "order.json").read_text()) == [sorted(both)]
    files = weights.fetch(decoder)
    assert files.prior_folder is not None
    for file in prior.files:
        assert (files.prior_folder / file.path).stat().st_size == file.size
    assert _pool(folder) == both
    with pytest.raises(FetchError, match="no revision of its prior"):
        weights.fetch(dataclasses.replace(decoder, prior_revision=None))


@pytest.mark.parametrize("path", ["../../escaped", "/escaped", "unet/../../../escaped"])
def test_no_file_leaves_the_generators_folder(store: Store, weights: WeightStore, tmp_path: Path, path: str) -> None:
    entry = entry_of(store, PIXELS)
    hostile = dataclasses.replace(entry, files=(dataclasses.replace(entry.files[0], path=path),))
    with pytest.raises(FetchError, match="not a valid file name"):
        weights.fetch(hostile)
    assert not list(tmp_path.rglob("escaped"))


def test_a_name_that_is_both_file_and_folder_is_refused(store: Store, weights: WeightStore) -> None:
    entry = entry_of(store, PIXELS)
    file = entry.files[0]
    below = ModelFile(path=f"{file.path}/below", size=file.size, sha256=file.sha256, git_oid=file.git_oid)
    for clash in (below, file):
        with pytest.raises(FetchError, match=r"folder|twice"):
            weights.fetch(dataclasses.replace(entry, files=(file, clash)))


def test_the_checker_is_found_by_its_files(store: Store, weights: WeightStore) -> None:
    commit = store.commit_of(store.repo("model", CHECKER)).id
    names = {path.name for path in weights.fetch_checker(CHECKER, commit).iterdir()}
    assert names == {"config.json", "preprocessor_config.json", "pytorch_model.bin"}
    with pytest.raises(FetchError, match="not a safety checker, it has no"):
        weights.fetch_checker(PIXELS, model_files(store, PIXELS)[0])
