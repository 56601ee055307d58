"""How often storing and watching call the file system of the workspace, counted by strace; the whole of a run is
counted by `python -m benchmarks file_calls`."""

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.file_calls import calls_in, count_calls, count_calls_of_a_look
from samplers.outcomes import write_outcome
from tests.records import catalog_entry
from tests.samplers.inputs import write_catalog
from tests.samplers.status.test_generators import outcome
from tests.samplers.storage.making import NAME, RECIPE, row_of
from workspace import recipe, records
from workspace.layout import Workspace, part_name

IMAGES = 200
STORE = """
import sys
from dataclasses import replace
from pathlib import Path
from tests.samplers.storage.making import RECIPE, store_all
from workspace.layout import Workspace
root, store, images = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
(root / "scratch").mkdir()
recipe = replace(RECIPE, images=images, batch_size=8, max_tries=images + 50, batches_a_part=8, store=store)
store_all(Workspace(root), root / "scratch", recipe)
"""
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


@needs_strace
@pytest.mark.parametrize(("store", "most"), [("files", 4.5), ("parquet", 0.4)])
def test_an_image_is_stored_with_few_calls(tmp_path: Path, store: str, most: float) -> None:
    calls = count_calls([sys.executable, "-c", STORE, str(tmp_path), store, str(IMAGES)], tmp_path, os.environ)
    assert len(list((tmp_path / "samples").rglob("part-*"))) == 4
    assert 0.1 < calls.total() / IMAGES <= most, calls


def _watched(root: Path, generators: int, parts: int) -> Workspace:
    """A workspace of which every second generator is done; the last one is at work, with so many parts."""
    workspace = Workspace.open(root)
    entries = [catalog_entry(f"org/model-{number}", task="unconditional") for number in range(generators)]
    write_catalog(workspace, [*entries, catalog_entry(NAME, task="unconditional")])
    recipe.pin(workspace, "sample", replace(RECIPE, images=10_000, max_tries=20_000).table())
    for entry in entries[::2]:
        write_outcome(workspace, outcome(entry, "done", kept=10_000))
    for number in range(parts):
        rows = [row_of(8 * number + index) for index in range(8)]
        records.write(workspace.samples_of(NAME) / part_name(number), type(rows[0]), rows)
    return workspace


@needs_strace
def test_a_look_at_what_has_not_changed_costs_the_same_however_many_images_there_are(tmp_path: Path) -> None:
    shapes = {"few": (20, 1), "many": (20, 9), "wide": (60, 1)}
    roots = [_watched(tmp_path / name, *shape).root for name, shape in shapes.items()]
    few, many, wide = count_calls_of_a_look(roots, os.environ)
    assert few.total() == many.total() <= 40, (few, many)
    # Listings only: more generators cost no call each.
    assert wide.total() <= few.total() + 2, (few, wide)


def test_calls_are_counted_that_name_the_workspace_or_a_descriptor_of_it() -> None:
    lines = [
        b'7 openat(AT_FDCWD</home>, "/w/run/a", O_RDONLY) = 3</w/run/a>',
        b'7 read(3</w/run/a>, "...", 10) = 3',
        b'8 rename("/tmp/x", "/w/run/b" <unfinished ...>',
        b"8 <... rename resumed>) = 0",
        b'7 openat(AT_FDCWD</home>, "/w/runs/a", O_RDONLY) = 3</w/runs/a>',
        b"7 close(4</w/run>) = 0",
        b"7 +++ exited with 0 +++",
    ]
    assert calls_in(lines, Path("/w/run")) == {"openat": 1, "read": 1, "rename": 1, "close": 1}
