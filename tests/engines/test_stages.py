"""Captioning, verification and packing on an engine: the same files as by one process."""

from collections.abc import Callable
from pathlib import Path

import pytest

from captioning.options import CaptionOptions
from captioning.stage import caption
from engines.local import LocalEngine
from engines.ray import RayEngine
from manifests.building import build
from manifests.checks import files, record_files
from manifests.checks.files import check_files
from manifests.manifest import manifest_path
from manifests.options import BuildOptions, PublishOptions
from manifests.publishing.layouts import layout_of
from manifests.publishing.packing import pack_on, pack_shards
from manifests.publishing.planning import plan_shards
from tests.manifests.conftest import fresh  # noqa: F401
from tests.manifests.making import Builder
from tests.small_hub import write_photographs
from workspace.errors import UsageError
from workspace.layout import Workspace


def test_files_are_checked_and_packed_as_by_one_process(
    on_ray: RayEngine,
    fresh: Callable[[str], Builder],  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engines = {"local": LocalEngine(2), "ray": on_ray}
    workspace = fresh("one").write(rows_a_part=3)
    build(workspace)
    layout = layout_of("viewer")
    shards = plan_shards(workspace, layout, 4000)
    assert len(shards) > 2
    (tmp_path / "here").mkdir()
    packed = pack_shards(workspace, layout, shards, tmp_path / "here")
    expected = {shard.path: path.read_bytes() for shard, path in packed}
    for name, engine in engines.items():
        (tmp_path / name).mkdir()
        packed = pack_on(engine, workspace, layout, shards, tmp_path / name)
        assert {shard.path: path.read_bytes() for shard, path in packed} == expected

    for image in sorted(workspace.images.rglob("*.png"))[3::3]:
        image.write_bytes(image.read_bytes()[:-1] + b"x")
    monkeypatch.setattr(files, "_ROWS_A_CALL", 5)
    found = check_files(workspace, manifest_path(workspace), "full")
    assert found.damaged
    for engine in engines.values():
        counted: list[int] = []
        assert check_files(workspace, manifest_path(workspace), "full", advance=counted.append, engine=engine) == found
        assert len(counted) > 1


def test_a_damaged_record_is_found_as_by_one_process(
    fresh: Callable[[str], Builder],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workspace = fresh("one").write(rows_a_part=2)
    part = sorted(workspace.samples.rglob("part-*.parquet"))[1]
    content = bytearray(part.read_bytes())
    content[100] ^= 1
    part.write_bytes(content)
    monkeypatch.setattr(record_files, "_FILES_A_CALL", 2)
    found = record_files.damaged_generators(workspace, [], LocalEngine(2))
    assert found == record_files.damaged_generators(workspace, [])
    assert any(str(part) in failure.named for failure in found.values())


def test_captions_in_processes_are_those_of_one(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("".join(f"picture number {number}\n" for number in range(9)))
    write_photographs(tmp_path / "photos", 1)
    found = []
    for processes in (None, 2):
        workspace = Workspace.open(tmp_path / f"workspace-{processes}")
        options = CaptionOptions(prompts=(prompts,), part_size=2, processes=processes, device="cpu")
        summaries = caption(workspace, options=options)
        assert [summary.parts_done for summary in summaries] == [5]
        found.append({path.name: path.read_bytes() for path in sorted(workspace.prompts.rglob("*.parquet"))})
    assert found[0] == found[1]


def test_options_that_an_engine_decides_are_refused(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a cat\n")
    options = CaptionOptions(prompts=(prompts,), processes=2, shard="1/2")
    with pytest.raises(UsageError, match="leave out --shard"):
        caption(Workspace.open(tmp_path / "workspace"), options=options)
    with pytest.raises(UsageError, match="add --engine ray"):
        BuildOptions(address="10.0.0.5:6379")
    with pytest.raises(UsageError, match="--processes must be at least 1"):
        PublishOptions(processes=0)
