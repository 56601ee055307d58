"""The status of a workspace that others write: it never fails, and nothing that was seen is missing later."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from samplers.options import Store
from samplers.status.run import Watcher
from samplers.storage.progress import progress_of
from tests.records import catalog_entry
from tests.samplers.inputs import write_catalog
from tests.samplers.storage.making import NAME, RECIPE, store_all
from tests.scale import scaled
from workspace import recipe
from workspace.layout import Workspace

IMAGES = scaled(70, 150)


@pytest.mark.parametrize("store", ["files", "parquet"])
def test_every_look_at_a_generator_that_is_being_stored_finds_all_that_was_there_before(
    tmp_path: Path, store: Store
) -> None:
    workspace = Workspace.open(tmp_path / "workspace")
    write_catalog(workspace, [catalog_entry(NAME, task="unconditional")])
    recipes = replace(RECIPE, images=IMAGES, max_tries=IMAGES + 50, store=store)
    recipe.pin(workspace, "sample", recipes.table())
    storing = threading.Thread(target=lambda: store_all(workspace, tmp_path, recipes))
    storing.start()
    watcher, tries, images, known, looks = Watcher(workspace), 0, 0, None, 0
    while storing.is_alive():
        progress = progress_of(workspace, NAME)
        assert progress.tries >= tries, "rows are missing that were there"
        assert progress.damaged == ()
        known = progress_of(workspace, NAME, known) if known is not None else progress
        assert known.tries >= progress.tries
        tries = known.tries
        status = watcher.look(0)
        assert (status.damaged, status.images >= images) == ({}, True)
        images, looks = status.images, looks + 1
    assert looks > 5
    storing.join()
    assert watcher.look(0).images == IMAGES
