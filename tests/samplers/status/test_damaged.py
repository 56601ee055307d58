"""A file that cannot be read costs cf-status one generator, and is named with what to do."""

import io
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from samplers.status.display import as_json, as_tables
from samplers.status.run import Watcher
from tests.manifests.making import Builder, fill
from tests.samplers.status.test_generators import recipe
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.recipe import pin

PAINTER = "org/painter"
PART = "samples/org--painter/part-00000.parquet"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def flip(path: Path) -> None:
    """A bit of a column that is read, which the reader would not notice by itself."""
    chunk = pq.read_metadata(path).row_group(0).column(1)
    assert chunk.path_in_schema == "revision"
    content = bytearray(path.read_bytes())
    content[chunk.dictionary_page_offset + chunk.total_compressed_size - 1] ^= 1
    path.write_bytes(content)


DAMAGE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "truncated part": (
        PART,
        cut,
        f"{PART} is damaged: run `cf-sample`, which makes it again",
    ),
    "changed bit": (
        PART,
        flip,
        f"{PART} is damaged: run `cf-sample`, which makes it again",
    ),
    "outcome": ("outcomes/org--painter.json", cut, "org--painter.json is damaged or of another version: .*; remove it"),
}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Nothing has an outcome but one failed generator; of one, all 11 tries are there."""
    workspace = fill(Builder(Workspace.open(tmp_path / "workspace"))).write()
    for name in ("org/sketcher", "solo-dreamer"):
        workspace.outcome_of(name).unlink()
    pin(workspace, "sample", recipe(images=20).table())
    return workspace


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_costs_one_generator_and_is_named(workspace: Workspace, damage: str) -> None:
    file, plant, message = DAMAGE[damage]
    if not file.startswith("outcomes"):
        workspace.outcome_of(PAINTER).unlink()
    before = Watcher(workspace).look(time.time())
    assert before.damaged == {}
    plant(workspace.root / file)
    status = Watcher(workspace).look(time.time())
    ((name, why),) = status.damaged.items()
    assert name == PAINTER
    assert re.search(message, why), why
    assert "\n" not in why
    # What the other generators have is counted.
    assert status.images >= 13
    assert status.generators == before.generators
    assert (status.failed, status.left) == (before.failed, status.generators - status.failed - status.done)
    assert json.loads(as_json(status))["damaged"] == {PAINTER: why}
    screen = io.StringIO()
    Console(file=screen, width=1000).print(as_tables(status))
    assert f"{PAINTER}: {why}" in screen.getvalue()


def test_a_generator_with_a_gap_in_its_rows_is_left_to_sample(workspace: Workspace) -> None:
    # It may be a unit that a process is at; `cf-sample` makes it in any case.
    workspace.outcome_of(PAINTER).unlink()
    before = Watcher(workspace).look(time.time())
    (workspace.root / PART).unlink()
    status = Watcher(workspace).look(time.time())
    assert status.damaged == {}
    assert (status.done, status.left) == (before.done, before.left)
    assert status.images < before.images


def test_a_damaged_catalogue_is_one_line(workspace: Workspace) -> None:
    cut(workspace.catalog)
    with pytest.raises(UsageError, match=r"catalog\.parquet is not a Parquet file, or it is damaged"):
        Watcher(workspace).look(time.time())
