import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.xet import taken_anew
from manifests.building import build
from manifests.manifest import ManifestRow, manifest_path
from manifests.options import BuildOptions
from manifests.publishing import packing
from manifests.publishing.layouts import layout_of
from manifests.publishing.packing import pack_shards
from manifests.publishing.planning import ROW_GROUP_ROWS, PlannedShard, plan_shards
from tests.manifests.making import Builder, rows_of
from tests.manifests.publishing.publishing import counts_of
from tests.scale import scaled, weekly
from workspace import records
from workspace.errors import CommunityForensicsError, UsageError
from workspace.layout import Workspace

LARGE = 1 << 30
VIEWER, STUDY = layout_of("viewer"), layout_of("community-forensics")


def built(builder: Builder) -> Workspace:
    workspace = builder.write(rows_a_part=100)
    build(workspace)
    return workspace


def plan(workspace: Workspace, max_bytes: int = LARGE) -> list[PlannedShard]:
    return plan_shards(workspace, VIEWER, max_bytes)


def pack(workspace: Workspace, folder: Path, max_bytes: int = LARGE, layout: Any = VIEWER) -> dict[str, Path]:
    shards = plan_shards(workspace, layout, max_bytes)
    folder.mkdir(exist_ok=True)
    return {shard.path: path for shard, path in pack_shards(workspace, layout, shards, folder)}


def by_split(packed: dict[str, Path]) -> dict[str, pa.Table]:
    return {path.name.split("-")[0]: pq.read_table(path) for path in packed.values()}


def rewrite(workspace: Workspace, change: Callable[[ManifestRow], ManifestRow]) -> list[ManifestRow]:
    """The manifest with other rows."""
    rows = [change(row) for row in records.read(manifest_path(workspace), ManifestRow)]
    records.write(manifest_path(workspace), ManifestRow, rows)
    return rows


def noise(*key: int, side: int) -> bytes:
    """A PNG that cannot be compressed and is made fast."""
    pixels = np.random.default_rng(key).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return bytes(cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 0])[1].tobytes())


def many(builder: Builder, images: int) -> Builder:
    generator = builder.generator("org/painter", task="unconditional")
    for _ in range(images):
        builder.sample(generator, None)
    return builder


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace of 250 images with its manifest, for tests that only read it."""
    return built(many(Builder(Workspace.open(tmp_path_factory.mktemp("painted") / "workspace")), 250))


def test_every_image_is_in_its_splits_shard_with_its_bytes_and_its_row(ready: Workspace, tmp_path: Path) -> None:
    tables = by_split(pack(ready, tmp_path))
    assert {split: table.num_rows for split, table in tables.items()} == {"Manual": 4, "Real": 9, "Systematic": 18}
    manifest = {row.sha256: row for row in records.read(manifest_path(ready), ManifestRow)}
    for table in tables.values():
        for row in table.to_pylist():
            image = row.pop("image")
            row["lineage"] = tuple(row["lineage"]) if row["lineage"] is not None else None
            known = manifest[hashlib.sha256(image["bytes"]).hexdigest()]
            assert ManifestRow(**row, path=known.path) == known
            assert image["path"] == known.image_name


def test_no_path_of_this_machine_is_published(ready: Workspace, tmp_path: Path) -> None:
    for path in pack(ready, tmp_path / "shards").values():
        assert str(tmp_path).encode() not in path.read_bytes()


def test_rows_are_split_by_what_they_are_for(ready: Workspace, tmp_path: Path) -> None:

    def assign_splits(row: ManifestRow) -> ManifestRow:
        if row.model_name == "org/sketcher" or row.real_id == "folder/3.png":
            return replace(row, split="test")
        return replace(row, split=None) if row.index == 2 else row

    rows = rewrite(ready, assign_splits)
    tables = by_split(pack(ready, tmp_path))
    published = {name: table.column("sha256").to_pylist() for name, table in tables.items()}
    assert published.pop("PublicEval") == [row.sha256 for row in rows if row.split == "test"]
    for name, hashes in published.items():
        assert hashes == [row.sha256 for row in rows if row.split == "train" and row.subset == name]
    assert published.keys() == {"Manual", "Real", "Systematic"}
    assert set(tables["PublicEval"].column("label").to_pylist()) == {0, 1}
    assert counts_of(ready).in_no_split == sum(row.split is None for row in rows) == 2


def test_a_holdout_is_a_published_split_and_rows_in_neither_are_not_published(filled: Builder) -> None:
    workspace = filled.write()
    build(
        workspace,
        BuildOptions(
            holdout=(
                "name=solo-dreamer",
                "name=org/painter",
            )
        ),
    )
    # The sketcher is related to the painter, whose prompts were captions of all real images.
    assert {shard.split for shard in plan(workspace)} == {"PublicEval"}
    assert counts_of(workspace).in_no_split == 9
    build(workspace, BuildOptions(holdout=("name=solo-dreamer",)))
    assert {shard.split for shard in plan(workspace)} == {"PublicEval", "Systematic", "Real"}


def test_images_that_may_not_be_passed_on_are_counted_where_they_would_be_published(filled: Builder) -> None:
    filled.prompts["photos"][0] = replace(filled.prompts["photos"][0], redistributable=None)
    workspace = built(filled)
    assert counts_of(workspace).not_redistributable == 4
    rewrite(workspace, lambda row: replace(row, split=None) if row.real_source == "locked" else row)
    assert counts_of(workspace).not_redistributable == 1


def test_the_studys_layout_has_its_columns_and_the_files_bytes(filled: Builder, tmp_path: Path) -> None:
    filled.generator("org/vendor", subset="Commercial", architecture="LatDiff")
    filled.sample(filled.catalog[-1], filled.prompts["photos"][2])
    filled.catalog[2] = replace(filled.catalog[2], architecture="Other")
    workspace = built(filled)
    rows = {row.sha256: row for row in rewrite(workspace, lambda row: replace(row, width=24, height=16))}
    tables = by_split(pack(workspace, tmp_path, layout=STUDY))
    names = "image_name format resolution mode image_data model_name nsfw_flag prompt real_source subset split label"
    assert all(table.column_names == [*names.split(), "architecture"] for table in tables.values())
    found = [row for table in tables.values() for row in table.to_pylist()]
    assert len(found) == len(rows)
    for said in found:
        row = rows[hashlib.sha256(said["image_data"]).hexdigest()]
        for name in ("image_name", "format", "mode", "nsfw_flag", "prompt", "subset", "split", "label"):
            assert said[name] == getattr(row, name)
        assert said["real_source"] == row.real_title
        assert said["resolution"] == [24, 16]
        assert said["model_name"] == (row.model_name if row.label else row.real_title)
    of = {name: set(table.column("architecture").to_pylist()) for name, table in tables.items()}
    assert of == {"Commercial": {"Commercial"}, "Manual": {"other"}, "Real": {"real"}, "Systematic": {"LatDiff"}}


def test_the_shards_of_two_layouts_have_different_names(ready: Workspace) -> None:
    names = [{shard.path for shard in plan_shards(ready, layout, LARGE)} for layout in (VIEWER, STUDY)]
    assert not names[0] & names[1]
    # The study's columns do not tell the images apart; the names do.
    rewrite(ready, lambda row: replace(row, sha256="0" * 64) if row.index == 0 else row)
    assert len({shard.path for shard in plan_shards(ready, STUDY, LARGE)} & names[1]) == 1


@pytest.mark.parametrize(("layout", "leaf"), [(VIEWER, "image.bytes"), (STUDY, "image_data")])
def test_row_groups_are_small_paged_and_hold_the_images_plain(
    painted: Workspace, tmp_path: Path, layout: Any, leaf: str
) -> None:
    (path,) = pack(painted, tmp_path, layout=layout).values()
    metadata = pq.read_metadata(path)
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [100, 100, 50]
    assert metadata.row_group(0).num_rows <= ROW_GROUP_ROWS
    for number in range(metadata.row_group(0).num_columns):
        column = metadata.row_group(0).column(number)
        assert column.has_offset_index
        image = column.path_in_schema == leaf
        assert column.compression == ("UNCOMPRESSED" if image else "ZSTD")
        if column.physical_type == "BYTE_ARRAY" and column.statistics is None:
            assert image
            assert not any("DICTIONARY" in encoding for encoding in column.encodings)


@pytest.mark.parametrize("layout", [VIEWER, STUDY])
def test_the_schema_tells_datasets_what_the_columns_are(ready: Workspace, tmp_path: Path, layout: Any) -> None:
    path = next(iter(pack(ready, tmp_path, layout=layout).values()))
    said = json.loads(pq.read_schema(path).metadata[b"huggingface"])["info"]["features"]
    features = datasets.Features.from_dict(said)
    assert isinstance(features.get("image", datasets.Image()), datasets.Image)
    # What `datasets` would make of these features is what is in the file; it names the elements of a list otherwise.
    theirs, ours = features.arrow_schema, layout.schema
    assert theirs.names == ours.names
    plain = [field for field in theirs if not pa.types.is_list(field.type)]
    assert [field for field in plain if field.type != ours.field(field.name).type] == []


def test_the_same_workspace_gives_the_same_shards(
    ready: Workspace, fresh: Callable[[str], Builder], tmp_path: Path
) -> None:
    packed = []
    for name, workspace in (("one", ready), ("two", built(fresh("two")))):
        (tmp_path / name).mkdir(exist_ok=True)
        packed.append({path: file.read_bytes() for path, file in pack(workspace, tmp_path / name / "s", 8_000).items()})
    assert packed[0] == packed[1]
    assert len(packed[0]) > 3


def test_a_shard_alone_is_packed_as_it_is_among_all(ready: Workspace, tmp_path: Path) -> None:
    shards = plan(ready, 8_000)
    everything = pack(ready, tmp_path / "all", 8_000)
    for shard in shards[1::2]:
        ((_, path),) = pack_shards(ready, VIEWER, [shard], tmp_path / "one")
        assert path.read_bytes() == everything[shard.path].read_bytes()


def test_shards_keep_to_their_size(painted: Workspace, tmp_path: Path) -> None:
    sizes = [path.stat().st_size for path in pack(painted, tmp_path, 200_000).values()]
    assert max(sizes) <= 200_000
    assert sum(sizes) / len(sizes) > 50_000


@pytest.mark.parametrize("layout", [VIEWER, STUDY])
def test_a_file_is_no_larger_than_planned(painted: Workspace, tmp_path: Path, layout: Any) -> None:
    for max_bytes in (25_000, LARGE):
        shards = plan_shards(painted, layout, max_bytes)
        for shard, path in pack_shards(painted, layout, shards, tmp_path):
            assert path.stat().st_size <= shard.file_size


def test_an_image_larger_than_a_shard_is_a_shard(painted: Workspace) -> None:
    assert [shard.rows for shard in plan(painted, 10)] == [1] * 250


def test_a_few_more_images_leave_most_shards_as_they_are(
    builder: Builder,
) -> None:
    workspace = built(many(builder, 300))
    before = {shard.path for shard in plan(workspace, 20_000)}
    early = builder.generator("org/a-new-one", task="unconditional")
    for _ in range(6):
        builder.sample(early, None)
    built(builder)
    after = {shard.path: shard for shard in plan(workspace, 20_000)}
    assert len(before) > 15
    assert sum(shard.rows for path, shard in after.items() if path not in before) < 100


def test_a_shards_name_changes_with_any_value_of_its_rows(ready: Workspace) -> None:
    before = {shard.path for shard in plan(ready)}
    rewrite(ready, lambda row: replace(row, seed=99) if row.generator == "org/painter" and row.index == 1 else row)
    (changed,) = {shard.path for shard in plan(ready)} - before
    assert "Systematic" in changed


def test_a_file_that_changed_since_the_build_is_not_published(ready: Workspace, tmp_path: Path) -> None:
    path = ready.images_of("org/painter") / "00000003.png"
    for harm in (lambda: path.write_bytes(b"another picture"), path.unlink):
        harm()
        with pytest.raises(CommunityForensicsError, match=r"00000003\.png has changed since the manifest was built"):
            pack(ready, tmp_path / "shards")
        assert not list((tmp_path / "shards").glob("*Systematic*.parquet"))


def test_large_images_make_small_row_groups(
    painted: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [row.file_size or 0 for row in records.read(manifest_path(painted), ManifestRow)]
    monkeypatch.setattr(packing, "ROW_GROUP_BYTES", 5 * max(sizes))
    (path,) = pack(painted, tmp_path).values()
    metadata = pq.read_metadata(path)
    groups = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    assert sum(groups) == 250
    assert max(groups) < 7
    assert min(groups[:-1]) >= 5


def test_the_size_of_a_shard_does_not_depend_on_that_of_its_images(builder: Builder, painted: Workspace) -> None:
    pattern, workspace = rows_of(painted)[0], builder.workspace

    def mean_size(images: int, file_size: int) -> float:
        rows = [
            replace(pattern, index=index, sha256=digest(str(index)), file_size=file_size) for index in range(images)
        ]
        records.write(manifest_path(workspace), ManifestRow, rows)
        shards = plan(workspace, 100 * 10**6)
        return sum(shard.size for shard in shards) / len(shards)

    small, large = mean_size(4_000, 10**6), mean_size(1_000, 4 * 10**6)
    assert 0.75 < small / large < 1.33
    assert 25 * 10**6 < small < 35 * 10**6


def test_a_shard_is_packed_when_the_caller_asks_for_it(painted: Workspace, tmp_path: Path) -> None:
    shards = plan(painted, 100_000)
    packing: Iterator[tuple[PlannedShard, Path]] = pack_shards(painted, VIEWER, shards, tmp_path)
    next(packing)
    assert len(list(tmp_path.glob("*.parquet"))) == 1 < len(shards)


def test_without_a_manifest_there_is_nothing_to_plan(builder: Builder) -> None:
    with pytest.raises(UsageError, match="cf-build-manifest"):
        plan(builder.workspace)


def test_features_have_the_names_that_all_versions_of_datasets_know() -> None:
    said = json.loads(VIEWER.schema.metadata[b"huggingface"])["info"]["features"]
    assert said["lineage"] == {"feature": {"dtype": "string", "_type": "Value"}, "_type": "Sequence"}
    assert said["nsfw_score"] == {"dtype": "float32", "_type": "Value"}
    assert pa.types.is_struct(VIEWER.schema.field("image").type)
    said = json.loads(STUDY.schema.metadata[b"huggingface"])["info"]["features"]
    assert said["image_data"] == {"dtype": "binary", "_type": "Value"}
    assert said["resolution"] == {"feature": {"dtype": "int64", "_type": "Value"}, "_type": "Sequence"}


def test_new_generators_among_the_old_leave_nearly_all_shards_as_they_are(builder: Builder, painted: Workspace) -> None:
    # Sizes and hashes are all that planning looks at: 160 MB a generator, as 400 images of 400 kB.
    pattern, workspace = rows_of(painted)[0], builder.workspace
    old = [f"org/generator-{number:04d}" for number in range(scaled(300, 4800))]
    new = [f"{old[number]}-new" for number in range(50, len(old), 100)]

    def planned(names: list[str]) -> list[PlannedShard]:
        rows = [
            replace(pattern, model_name=name, index=index, sha256=digest(f"{name} {index}"), file_size=8 * 10**6)
            for name in sorted(names)
            for index in range(20)
        ]
        records.write(manifest_path(workspace), ManifestRow, rows)
        return plan(workspace, 500 * 10**6)

    before = {shard.path for shard in planned(old)}
    after = planned(old + new)
    sent = sum(shard.image_bytes for shard in after if shard.path not in before)
    assert sent <= 0.03 * sum(shard.image_bytes for shard in after)


@weekly("manifests/publishing/test_versions.py::test_the_next_round_costs_what_is_new")
def test_a_store_by_content_receives_little_more_than_the_new_images(builder: Builder, tmp_path: Path) -> None:
    size = scaled(202, 2020)
    generators = [builder.generator(f"org/painter-{number}", task="unconditional") for number in range(2)]
    for number, generator in enumerate(generators):
        for index in range(size // 2):
            builder.sample(generator, None, content=noise(number, index, side=320))
    workspace = built(builder)
    rows = records.read(manifest_path(workspace), ManifestRow)
    pack(workspace, tmp_path / "new", 20 * 10**6)
    records.write(manifest_path(workspace), ManifestRow, [row for row in rows if row.index % 101 != 42])
    pack(workspace, tmp_path / "old", 20 * 10**6)
    assert 0.005 < taken_anew(tmp_path / "store", tmp_path / "old", tmp_path / "new") <= 0.03


def test_an_image_is_a_page_of_its_own(builder: Builder, tmp_path: Path) -> None:
    generator = builder.generator("org/painter", task="unconditional")
    images = [noise(index, side=64) for index in range(5)]
    for image in images:
        builder.sample(generator, None, content=image)
    (path,) = pack(built(builder), tmp_path).values()
    content = path.read_bytes()
    for before, after in pairwise(images):
        # In one page only the four bytes of a length would be between them; here there is a page header, too.
        assert content.find(after) > content.find(before) + len(before) + 4


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
