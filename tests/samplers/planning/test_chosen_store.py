"""Where images are stored when the user does not say."""

from dataclasses import replace
from pathlib import Path

import pytest

from samplers.assignment.pending import find_pending
from samplers.options import SampleOptions
from samplers.planning import chosen_store as module
from samplers.planning.chosen_store import chosen_store
from tests.records import catalog_entry
from tests.samplers.inputs import write_catalog
from tests.samplers.storage.making import RECIPE
from workspace import recipe
from workspace.layout import Workspace


def entries(number: int) -> list:  # type: ignore[type-arg]
    return [catalog_entry(f"org/model-{one}", task="unconditional") for one in range(number)]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path)


@pytest.mark.parametrize(("images", "store"), [(50_000, "files"), (50_001, "parquet")])
def test_many_images_are_inside_the_part_files(workspace: Workspace, images: int, store: str) -> None:
    chosen, why = chosen_store(workspace, SampleOptions(images=images), (), entries(2))
    assert chosen == store
    assert (why is None) == (store == "files")
    if why is not None:
        assert why == (
            "images are stored inside the part files, because the chosen generators owe 100,002 images; "
            "--store files stores each as a file"
        )


def test_what_the_user_wants_of_each_generator_counts(workspace: Workspace) -> None:
    options = SampleOptions(images=10, settings={"org/model-1": {"images": 99_991}})
    assert chosen_store(workspace, options, (), entries(2))[0] == "parquet"
    options = SampleOptions(images=10, settings={"org/model-1": {"images": 99_990}})
    assert chosen_store(workspace, options, (), entries(2))[0] == "files"


def test_on_a_network_file_system_they_are_too(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    # What the system says is tested in tests/workspace/test_file_system.py: no such file system can be mounted here.
    monkeypatch.setattr(module, "network_file_system", lambda _: "nfs4")
    store, why = chosen_store(workspace, SampleOptions(images=1), (), entries(1))
    assert (store, "a network file system (nfs4)" in str(why)) == ("parquet", True)
    assert chosen_store(workspace, SampleOptions(store="files"), (), entries(1)) == ("files", None)
    assert chosen_store(workspace, SampleOptions(), (replace(RECIPE, store="files"),), entries(1)) == ("files", None)


@pytest.mark.parametrize("store", ["files", "parquet"])
def test_a_workspace_keeps_what_its_recipe_says_however_much_it_grows(workspace: Workspace, store: str) -> None:
    write_catalog(workspace, entries(2))
    first = SampleOptions(images=3, store=store)  # type: ignore[arg-type]
    recipe.pin(workspace, "sample", find_pending(workspace, first, dry_run=True).recipe.table())
    pinned = recipe.latest(workspace, "sample")
    assert pinned is not None
    assert (pinned["store"], pinned["batches_a_part"]) == (store, 8)
    assert find_pending(workspace, SampleOptions(images=3), dry_run=True).recipe.store == store
    more = find_pending(workspace, SampleOptions(images=200_000, update=True), dry_run=True)
    assert (more.recipe.store, more.recipe.round) == (store, 2)
    assert not [note for note in more.notes if "part files" in note]


def test_a_new_workspace_says_why_before_it_is_sampled(workspace: Workspace) -> None:
    write_catalog(workspace, entries(2))
    pending = find_pending(workspace, SampleOptions(images=60_000), dry_run=True)
    assert [note for note in pending.notes if note.startswith("images are stored inside the part files, because")]
    assert pending.recipe.store == "parquet"


def test_a_recipe_of_the_version_before_keeps_its_parts(workspace: Workspace) -> None:
    write_catalog(workspace, entries(1))
    table = find_pending(workspace, SampleOptions(images=3), dry_run=True).recipe.table()
    recipe.pin(workspace, "sample", {**table, "batches_a_part": None})
    now = find_pending(workspace, SampleOptions(images=3), dry_run=True).recipe
    assert now.rows_a_part == 4 * now.batch_size
