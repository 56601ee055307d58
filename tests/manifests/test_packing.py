import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests.building import build
from manifests.choices import Choices
from manifests.manifest import ManifestRow, manifest_path
from manifests.packing import (
    ROW_GROUP_ROWS,
    PlannedShard,
    pack_shards,
    plan_shards,
    shard_schema,
    unpublished_real_images,
)
from tests.manifests.making import Builder
from workspace import records
from workspace.errors import CommunityForensicsError, UsageError
from workspace.layout import Workspace

LARGE = 1 << 30


def built(builder: Builder) -> Workspace:
    workspace = builder.write(rows_a_part=100)
    build(workspace)
    return workspace


def pack(workspace: Workspace, folder: Path, max_bytes: int = LARGE) -> dict[str, Path]:
    shards = plan_shards(workspace, max_bytes)
    return {shard.path: path for shard, path in pack_shards(workspace, shards, folder)}


def many(builder: Builder, images: int) -> Builder:
    generator = builder.generator("org/painter")
    for _ in range(images):
        builder.sample(generator, None)
    return builder


def test_every_image_is_in_its_splits_shard_with_its_bytes_and_its_row(filled: Builder, tmp_path: Path) -> None:
    workspace = built(filled)
    packed = pack(workspace, tmp_path)
    tables = {path.name.split("-")[0]: pq.read_table(path) for path in packed.values()}
    assert {split: table.num_rows for split, table in tables.items()} == {"Manual": 4, "Real": 6, "Systematic": 18}
    manifest = {row.sha256: row for row in records.read(manifest_path(workspace), ManifestRow)}
    for table in tables.values():
        for row in table.to_pylist():
            image = row.pop("image")
            row["lineage"] = tuple(row["lineage"]) if row["lineage"] is not None else None
            known = manifest[hashlib.sha256(image["bytes"]).hexdigest()]
            assert ManifestRow(**row, path=known.path) == known
            assert image["path"] == known.image_name


def test_no_path_of_this_machine_is_published(filled: Builder, tmp_path: Path) -> None:
    for path in pack(built(filled), tmp_path / "shards").values():
        assert str(tmp_path).encode() not in path.read_bytes()


def test_real_images_that_may_not_be_passed_on_are_only_listed(filled: Builder) -> None:
    filled.prompts["photos"][0] = replace(filled.prompts["photos"][0], redistributable=None)
    listed = unpublished_real_images(built(filled)).to_pylist()
    assert [(row["real_source"], row["real_id"]) for row in listed] == [
        ("locked", "folder/100.png"),
        ("locked", "folder/101.png"),
        ("locked", "folder/102.png"),
        ("photos", "folder/0.png"),
    ]
    assert listed[3]["real_sha256"] == filled.prompts["photos"][0].real_sha256


def test_row_groups_are_small_paged_and_hold_the_images_plain(builder: Builder, tmp_path: Path) -> None:
    (path,) = pack(built(many(builder, 250)), tmp_path).values()
    metadata = pq.read_metadata(path)
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [100, 100, 50]
    assert metadata.row_group(0).num_rows <= ROW_GROUP_ROWS
    for number in range(metadata.row_group(0).num_columns):
        column = metadata.row_group(0).column(number)
        assert column.has_offset_index
        image = column.path_in_schema == "image.bytes"
        assert column.compression == ("UNCOMPRESSED" if image else "ZSTD")
        if column.physical_type == "BYTE_ARRAY" and column.statistics is None:
            assert image
            assert not any("DICTIONARY" in encoding for encoding in column.encodings)


def test_the_schema_tells_datasets_what_the_columns_are(filled: Builder, tmp_path: Path) -> None:
    path = next(iter(pack(built(filled), tmp_path).values()))
    said = json.loads(pq.read_schema(path).metadata[b"huggingface"])["info"]["features"]
    features = datasets.Features.from_dict(said)
    assert isinstance(features["image"], datasets.Image)
    # What `datasets` would make of these features is what is in the file; it names the elements of a list otherwise.
    theirs, ours = features.arrow_schema, shard_schema()
    assert theirs.names == ours.names
    plain = [field for field in theirs if not pa.types.is_list(field.type)]
    assert [field for field in plain if field.type != ours.field(field.name).type] == []


def test_the_same_workspace_gives_the_same_shards(fresh: Callable[[str], Builder], tmp_path: Path) -> None:
    packed = []
    for name in ("one", "two"):
        workspace = built(fresh(name))
        packed.append({path: file.read_bytes() for path, file in pack(workspace, tmp_path / name / "s", 8_000).items()})
    assert packed[0] == packed[1]
    assert len(packed[0]) > 3


def test_a_shard_alone_is_packed_as_it_is_among_all(filled: Builder, tmp_path: Path) -> None:
    workspace = built(filled)
    shards = plan_shards(workspace, 8_000)
    everything = pack(workspace, tmp_path / "all", 8_000)
    for shard in shards[1::2]:
        ((_, path),) = pack_shards(workspace, [shard], tmp_path / "one")
        assert path.read_bytes() == everything[shard.path].read_bytes()


def test_shards_keep_to_their_size(builder: Builder, tmp_path: Path) -> None:
    workspace = built(many(builder, 300))
    sizes = [path.stat().st_size for path in pack(workspace, tmp_path, 200_000).values()]
    assert max(sizes) <= 200_000
    assert sum(sizes) / len(sizes) > 50_000


def test_an_image_larger_than_a_shard_is_a_shard(builder: Builder) -> None:
    assert [shard.rows for shard in plan_shards(built(many(builder, 3)), 10)] == [1, 1, 1]


def test_a_few_more_images_leave_most_shards_as_they_are(
    builder: Builder,
) -> None:
    workspace = built(many(builder, 300))
    before = {shard.path for shard in plan_shards(workspace, 20_000)}
    early = builder.generator("org/a-new-one")
    for _ in range(6):
        builder.sample(early, None)
    built(builder)
    after = {shard.path: shard for shard in plan_shards(workspace, 20_000)}
    assert len(before) > 15
    assert sum(shard.rows for path, shard in after.items() if path not in before) < 100


def test_a_shards_name_changes_with_any_value_of_its_rows(builder: Builder) -> None:
    (before,) = plan_shards(built(many(builder, 3)), LARGE)
    builder.change("org/painter", 1, seed=99)
    (after,) = plan_shards(built(builder), LARGE)
    assert before.path != after.path


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(b"another picture")])
def test_a_file_that_is_not_what_the_manifest_says_is_not_published(
    builder: Builder, tmp_path: Path, harm: Callable[[Path], object]
) -> None:
    workspace = built(many(builder, 5))
    harm(workspace.images_of("org/painter") / "00000003.png")
    with pytest.raises(CommunityForensicsError, match=r"00000003\.png is not the file the manifest speaks of"):
        pack(workspace, tmp_path)
    assert not list(tmp_path.glob("*.parquet"))


def test_packing_waits_for_who_asks(builder: Builder, tmp_path: Path) -> None:
    workspace = built(many(builder, 100))
    shards = plan_shards(workspace, 40_000)
    packing: Iterator[tuple[PlannedShard, Path]] = pack_shards(workspace, shards, tmp_path)
    next(packing)
    assert len(list(tmp_path.glob("*.parquet"))) == 1 < len(shards)


def test_without_a_manifest_there_is_nothing_to_plan(builder: Builder) -> None:
    with pytest.raises(UsageError, match="cf-build-manifest"):
        plan_shards(builder.workspace, LARGE)


def test_a_list_is_a_list_of_features() -> None:
    said = json.loads(shard_schema().metadata[b"huggingface"])["info"]["features"]
    assert said["lineage"] == {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"}
    assert said["nsfw_score"] == {"dtype": "float32", "_type": "Value"}
    assert pa.types.is_struct(shard_schema().field("image").type)


def test_the_evaluation_set_is_a_split_of_its_own_and_what_is_in_neither_stays_at_home(
    filled: Builder, tmp_path: Path
) -> None:
    workspace = filled.write()
    build(workspace, choices=Choices.made("full", (), ["name=solo-dreamer", "name=org/painter"]))
    rows = {Path(path).name.rsplit("-", 1)[0]: pq.read_table(file) for path, file in pack(workspace, tmp_path).items()}
    # The sketcher is the painter's kin, and all photographs were the painter's.
    assert rows.keys() == {"PublicEval"}
    assert set(rows["PublicEval"]["model_name"].to_pylist()) == {"solo-dreamer", "org/painter", None}
    build(workspace, choices=Choices.made("full", (), ["name=solo-dreamer"]))
    splits = {shard.split for shard in plan_shards(workspace, 8_000)}
    assert splits == {"PublicEval", "Systematic", "Real"}
