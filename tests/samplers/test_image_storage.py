"""Images in files beside the rows or inside the part files: the same rows, the same dataset."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from localhub.process import HubProcess
from localhub.store import Store
from manifests.building import Built, build
from manifests.manifest import iterate_manifest
from manifests.options import BuildOptions, PublishOptions
from manifests.pictures.readers import PictureReaders
from manifests.publishing.layouts import layout_of
from manifests.publishing.packing import pack_shards
from manifests.publishing.planning import plan_shards
from manifests.publishing.publish import publish_dataset
from manifests.report.contact_sheet import PICTURES_OF_FEW, generator_sheets
from manifests.report.rows import opened_rows
from manifests.report.sampled_with import sampled_with
from samplers.options import SampleOptions
from samplers.running.supervisor import sample
from samplers.sample import Sample, part_of, read_samples
from tests.samplers.conftest import NAN, PIXELS
from tests.samplers.inputs import PROMPTS, entry_of, write_catalog, write_prompts
from workspace import records
from workspace.errors import CommunityForensicsError, UsageError
from workspace.layout import Workspace

NAMES = (PIXELS, NAN)
#: Nine batches: two parts.
BESIDE = SampleOptions(images=9, batch_size=1, max_tries=9, store="files")
INSIDE = replace(BESIDE, store="parquet")


class Stores(NamedTuple):
    """The same generators sampled twice, each with its manifest."""

    beside: Workspace
    inside: Workspace
    built: Built


@pytest.fixture(scope="module")
def stores(store: Store, hub: HubProcess, tmp_path_factory: pytest.TempPathFactory) -> Stores:
    made = []
    for options in (BESIDE, INSIDE):
        workspace = Workspace.open(tmp_path_factory.mktemp(options.store))
        write_catalog(workspace, [entry_of(store, name, rank) for rank, name in enumerate(NAMES, start=1)])
        write_prompts(workspace, PROMPTS)
        weights = tmp_path_factory.mktemp("weights")
        sample(workspace, replace(options, endpoint=hub.endpoint, weights_dir=weights, device="cpu"))
        made.append(workspace)
        built = build(workspace, BuildOptions(verify="full", real_per_generated=0))
        assert built.kept == 9
    return Stores(*made, built)


def _packed(workspace: Workspace, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    layout = layout_of("viewer")
    shards = pack_shards(workspace, layout, plan_shards(workspace, layout, 1 << 30), folder)
    return {shard.path: path.read_bytes() for shard, path in shards}


def test_rows_differ_only_in_the_place_of_the_image(stores: Stores) -> None:
    for name in NAMES:
        rows, twins = read_samples(stores.inside, name), read_samples(stores.beside, name)
        for row, twin in zip(rows, twins, strict=True):
            assert (row.sha256, row.file_size, row.status) == (twin.sha256, twin.file_size, twin.status)
            assert (row.image.bytes is None) == (row.sha256 is None)
            if row.image.bytes is not None:
                assert row.image.bytes == (stores.beside.root / str(twin.image.path)).read_bytes()
                assert row.file_size == len(row.image.bytes)


def test_a_generator_has_few_files_instead_of_hundreds(stores: Stores) -> None:
    assert not list(stores.inside.images.rglob("*"))
    assert len(list(stores.inside.samples.rglob("*.*"))) == 4


def test_both_publish_the_same_shards(stores: Stores, tmp_path: Path) -> None:
    places = [row["path"] for batch in iterate_manifest(stores.inside) for row in batch.to_pylist() if row["label"]]
    assert len([place for place in places if part_of(place)]) == 9
    packed = _packed(stores.inside, tmp_path / "inside")
    assert packed == _packed(stores.beside, tmp_path / "beside")
    (shard,) = packed.values()
    rows = pq.read_table(pa.BufferReader(shard)).to_pylist()
    assert len(rows) == 9
    assert all(hashlib.sha256(row["image"]["bytes"]).hexdigest() == row["sha256"] for row in rows)


def test_both_show_the_same_pictures_in_the_report(stores: Stores) -> None:
    sheets = []
    for workspace in (stores.beside, stores.inside):
        with opened_rows(workspace) as rows, PictureReaders(1) as readers:
            sampled = [row for row in stores.built.generators if row.kept]
            sheets.append(generator_sheets(workspace, rows, readers, sampled, sampled_with(rows)))
    beside, inside = [[thumbnail.uri for sheet in each for thumbnail in sheet.thumbnails] for each in sheets]
    assert len(inside) == PICTURES_OF_FEW
    assert inside == beside


def test_images_inside_the_rows_are_published(stores: Stores, tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub", tokens=["hf_writer"]) as hub:
        publish_dataset(stores.inside, "org/dataset", PublishOptions(endpoint=hub.endpoint, token="hf_writer"))
    there = Store(tmp_path / "hub")
    files = there.commit_of(there.repo("dataset", "org/dataset")).files
    published = {path: there.blobs.read(files[path].sha256) for path in files if path.startswith("data/")}
    assert published == _packed(stores.beside, tmp_path / "beside")


def test_image_bytes_are_not_compressed_in_the_part(stores: Stores) -> None:
    (part, *_) = sorted(stores.inside.samples_of(PIXELS).iterdir())
    with pq.ParquetFile(part) as file:
        group = file.metadata.row_group(0)
        columns = [group.column(place) for place in range(file.metadata.num_columns)]
    compressed = {column.path_in_schema: column.compression for column in columns}
    assert compressed.pop("image.bytes") == "UNCOMPRESSED"
    assert set(compressed.values()) == {"ZSTD"}
    (image,) = [column for column in columns if column.path_in_schema == "image.bytes"]
    assert not any("DICTIONARY" in encoding for encoding in image.encodings)
    assert read_samples(stores.inside, PIXELS)[0].image.bytes in part.read_bytes()


def test_a_workspace_has_one_kind_of_storage(stores: Stores) -> None:
    with pytest.raises(UsageError, match="store was 'parquet', now 'files'"):
        sample(stores.inside, BESIDE)


@pytest.fixture
def copied(stores: Stores, tmp_path: Path) -> Workspace:
    return Workspace(shutil.copytree(stores.inside.root, tmp_path / "copied"))


def test_a_replaced_image_inside_a_row_is_found(copied: Workspace) -> None:
    (part, *_) = sorted(copied.samples_of(PIXELS).iterdir())
    rows = records.read_table(part, Sample).to_pylist()
    rows[0]["image"]["bytes"] = rows[1]["image"]["bytes"]
    records.write_table(part, pa.Table.from_pylist(rows, schema=records.schema(Sample)))
    with pytest.raises(
        CommunityForensicsError, match=r"part-00000\.parquet#00000000\.png has changed since the manifest was built"
    ):
        _packed(copied, copied.root / "shards")
    (damaged,) = build(copied, BuildOptions(verify="full", real_per_generated=0)).damaged
    assert damaged.startswith(f"{PIXELS} is left out: 1 image file has another sha256 than its row says")


def test_a_missing_or_damaged_part_is_named(copied: Workspace) -> None:
    first, second = sorted(copied.samples_of(PIXELS).iterdir())
    first.unlink()
    with pytest.raises(CommunityForensicsError, match=r"#00000000\.png has changed .*\(No such file"):
        _packed(copied, copied.root / "shards")
    shutil.copyfile(second, first)
    with pytest.raises(CommunityForensicsError, match=r"#00000000\.png has changed .*no such image in"):
        _packed(copied, copied.root / "more-shards")
    first.write_bytes(b"PAR1")
    with pytest.raises(CommunityForensicsError, match=r"#00000000\.png has changed .*is damaged"):
        _packed(copied, copied.root / "still-more-shards")
