"""Growth: a manifest of the first rounds is the one that there was, and its rows stay when later rounds follow."""

from pathlib import Path
from typing import Any, get_args

import pytest

from manifests.building import build
from manifests.choices import read_choices
from manifests.manifest import ManifestRow, manifest_path
from manifests.options import BuildOptions, LayoutName
from manifests.publishing.evaluation import evaluate_by_generator
from manifests.publishing.layouts import layout_of
from manifests.publishing.pinned import pin_manifest
from manifests.publishing.planning import plan_shards
from manifests.tables.generators import rejected_path
from manifests.tables.withheld import WithheldRow, withheld_path
from tests.manifests.commands import build as build_by_command
from tests.manifests.growing import SEGMENT, Growing
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
    for number in range(1, scaled(2, 3) + 1):
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


def test_the_shards_of_earlier_rounds_stay(builder: Builder, tmp_path: Path) -> None:
    """Also of the evaluation set of the study's layout, where each generator has real images of its own."""
    builder.generator("org/painter", lineage=())
    held = builder.generator("org/held", base_model=None, lineage=())
    before: dict[LayoutName, set[str]] = {name: set() for name in get_args(LayoutName)}
    six = range(6)
    for number in (1, 2, 3):
        photos = {
            source: [
                builder.real(source, 100 * number + at, round=number, prompt=f"{source} {number} {at}") for at in six
            ]
            for source in ("for-training", "for-test")
        }
        if number == 2:
            builder.generator("org/later", lineage=("org/base-of-later",), base_model="org/base-of-later", round=2)
        for generator in builder.catalog:
            of_generator = photos["for-test" if generator is held else "for-training"][:3]
            for at, prompt in enumerate([*of_generator, of_generator[0]]):
                index = SEGMENT * (number - generator.round) + at
                seed = 10_000 * generator.rank + index
                builder.sample(generator, prompt, index=index, round=number, seed=seed)
        workspace = builder.write(rows_a_part=100)
        build(workspace, BuildOptions(holdout=("name=org/held",)))
        for name in before:
            pinned, layout = pin_manifest(workspace, tmp_path / f"{name}-{number}"), layout_of(name)
            if layout.by_generator:
                evaluate_by_generator(pinned)
            shards = plan_shards(pinned, layout, 1 << 30)
            now = {shard.path for shard in shards}
            assert before[name] < now
            assert {(shard.split, shard.round) for shard in shards} == {
                (split, made_in) for split in ("PublicEval", "Real", "Systematic") for made_in in range(1, number + 1)
            }
            before[name] = now


@pytest.mark.parametrize("rounds", ["2", "2-3", "0", "1-0", "all", "1-", "1-2-3", "-1", "1-99999999"])
def test_what_names_no_first_rounds_is_refused_in_a_line(filled: Builder, rounds: str) -> None:
    done = build_by_command(filled.write().root, "--rounds", rounds)
    assert done.returncode == 2
    assert f"--rounds {rounds!r}: must be 1-N, such as 1-2" in done.stderr
    assert done.stderr.count("\n") == 1


def test_more_rounds_than_there_are_are_refused_in_a_line(filled: Builder) -> None:
    workspace = filled.write()
    done = build_by_command(workspace.root, "--rounds", "1-2")
    assert done.returncode == 2
    assert f"--rounds 1-2: the last round of {workspace.root} is 1" in done.stderr
    assert done.stderr.count("\n") == 1
    assert build_by_command(workspace.root, "--rounds", "1..1").returncode == 0


def test_a_round_that_changes_splits_of_earlier_ones_says_so(builder: Builder) -> None:
    photos = [builder.real("photos", number) for number in range(5)]
    painter = builder.generator("org/painter", base_model="org/base", lineage=("org/base",))
    dreamer = builder.generator("org/dreamer", base_model=None, lineage=(), architecture="PixDiff")
    for number, generator in enumerate((painter, painter, dreamer, dreamer)):
        builder.sample(generator, photos[number], seed=number)
    options = BuildOptions(holdout=("architecture=PixDiff",))
    assert build(builder.write(), options).changes == {}
    later = builder.generator(
        "org/later", base_model="org/base", lineage=("org/base",), architecture="PixDiff", round=2
    )
    builder.sample(later, photos[4], round=2, seed=999)
    built = build(builder.write(), options)
    assert built.changes == {("train", None): 4}
    assert "4 rows of earlier rounds in another split than before: 4 from train to none" in list(built.lines())
    # Another choice is no change that a round causes.
    assert build(builder.workspace).changes == {}
