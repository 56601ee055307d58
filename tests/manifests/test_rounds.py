"""Growth: a manifest of the first rounds is the one that there was, and its rows stay when later rounds follow."""

from pathlib import Path
from typing import Any

import pytest

from manifests.building import build
from manifests.choices import read_choices
from manifests.manifest import ManifestRow, manifest_path
from manifests.options import BuildOptions
from manifests.tables.generators import rejected_path
from manifests.tables.withheld import WithheldRow, withheld_path
from tests.manifests.growing import Growing
from tests.manifests.making import Builder, rows_of
from tests.scale import scaled
from workspace import records
from workspace.layout import Workspace

OPTIONS: dict[str, dict[str, Any]] = {
    "all for training": {},
    "some held out": {"holdout": ("family=org/base-1",), "edition": "public", "real_per_generated": 1.5},
}


def growing(folder: Path, seed: int) -> Growing:
    return Growing(Builder(Workspace.open(folder / "workspace"), salt=str(seed)), seed)


@pytest.mark.parametrize("seed", range(scaled(1, 30)))
def test_earlier_rounds_are_the_manifest_that_there_was(tmp_path: Path, seed: int) -> None:
    world = growing(tmp_path, seed)
    before: dict[tuple[str, int], tuple[bytes, ...]] = {}
    rows: dict[str, list[ManifestRow]] = {}
    for number in (1, 2, 3):
        world.grow()
        workspace = world.builder.write()
        for name, options in OPTIONS.items():
            build(workspace, BuildOptions(**options))
            before[name, number] = files_of(workspace)
            assert read_choices(manifest_path(workspace)).rounds == number
            now = all_rows(workspace)
            if name == "all for training":
                # What a round said of its images is never said in another way.
                assert [row for row in now if row.round < number] == rows.get(name, [])
            assert {row.round for row in now} == set(range(1, number + 1))
            rows[name] = now
    for (name, number), files in list(before.items())[:-1]:
        build(workspace, BuildOptions(**OPTIONS[name], rounds=f"1-{number}"))
        assert files_of(workspace) == files, (name, number)


def files_of(workspace: Workspace) -> tuple[bytes, ...]:
    paths = (manifest_path(workspace), rejected_path(workspace), withheld_path(workspace))
    return tuple(path.read_bytes() for path in paths if path.exists())


def all_rows(workspace: Workspace) -> list[Any]:
    """Of the manifest and of the list beside it."""
    listed = records.read(withheld_path(workspace), WithheldRow) if withheld_path(workspace).exists() else []
    return [*rows_of(workspace), *listed]
