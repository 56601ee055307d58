"""What is on the disk after every batch, after interruptions and after damage."""

import os
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from samplers.claims import TakenOverError
from samplers.options import Store
from samplers.sample import ImageFile, Sample, read_samples
from samplers.storage.generator_store import GeneratorStore, NotReproducibleError
from samplers.storage.progress import progress_of
from tests.samplers.storage.making import NAME, RECIPE, files_in, flipped, png_of, row_of, segments_for, store_all
from workspace import records
from workspace.layout import Workspace, part_name

STORES = ("files", "parquet")


class InterruptedStoringError(Exception):
    pass


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "workspace")


@pytest.fixture
def scratch(workspace: Workspace) -> Path:
    folder = workspace.locks / "scratch"
    folder.mkdir(parents=True)
    return folder


def _expected(tmp_path: Path, store: Store = "files") -> dict[str, bytes]:
    workspace = Workspace.open(tmp_path / f"undisturbed-{store}")
    (workspace.root / "scratch").mkdir()
    store_all(workspace, workspace.root / "scratch", replace(RECIPE, store=store))
    return files_in(workspace)


@pytest.mark.parametrize("store", STORES)
def test_rows_are_in_parts_and_say_where_their_images_are(workspace: Workspace, scratch: Path, store: Store) -> None:
    store_all(workspace, scratch, replace(RECIPE, store=store))
    rows = read_samples(workspace, NAME)
    assert [row.index for row in rows] == list(range(19))
    assert len({row.sha256 for row in rows if row.sha256}) == 16
    for row in rows:
        if row.status == "nan":
            assert row.image == ImageFile()
            continue
        content = png_of(row.index).content
        if store == "files":
            assert row.image == ImageFile(path=f"images/org--name/{row.index:08d}.png")
            assert (workspace.root / str(row.image.path)).read_bytes() == content
        else:
            part = f"samples/org--name/part-{row.index // 8:05d}.parquet"
            assert row.image == ImageFile(bytes=content, path=f"{part}#{row.index:08d}.png")
    folder = workspace.samples_of(NAME)
    assert sorted(path.name for path in folder.iterdir()) == [part_name(number) for number in range(3)]
    assert list(scratch.iterdir()) == []
    group = pq.read_metadata(folder / part_name(0)).row_group(0)
    compression = {column.path_in_schema: column.compression for column in map(group.column, range(group.num_columns))}
    assert compression.pop("image.bytes") == "UNCOMPRESSED"
    assert set(compression.values()) == {"ZSTD"}


@pytest.mark.parametrize("store", STORES)
def test_no_batch_is_lost_however_often_a_run_is_interrupted(
    workspace: Workspace, scratch: Path, tmp_path: Path, store: Store
) -> None:
    def stop() -> None:
        raise InterruptedStoringError

    for run in range(1, 10):
        with pytest.raises(InterruptedStoringError):
            store_all(workspace, scratch, replace(RECIPE, store=store), after_batch=stop)
        assert progress_of(workspace, NAME).tries == 2 * run
    with pytest.raises(InterruptedStoringError):
        store_all(workspace, scratch, replace(RECIPE, store=store), after_batch=stop)
    store_all(workspace, scratch, replace(RECIPE, store=store))
    assert files_in(workspace) == _expected(tmp_path, store)


def test_images_appear_with_their_batch(workspace: Workspace, scratch: Path) -> None:
    seen = []
    store_all(workspace, scratch, after_batch=lambda: seen.append(len(list(workspace.images_of(NAME).iterdir()))))
    assert seen == [2, 3, 5, 7, 8, 10, 12, 14, 16, 17]


def _damage(workspace: Workspace, path: str, how: str) -> None:
    file = workspace.root / path
    if how == "missing":
        file.unlink()
    elif how == "cut":
        os.truncate(file, file.stat().st_size // 2)
    elif how == "empty":
        os.truncate(file, 0)
    else:
        file.write_bytes(flipped(file))


@pytest.mark.parametrize("how", ["missing", "cut", "empty", "flipped"])
@pytest.mark.parametrize(
    "path",
    [
        "images/org--name/00000004.png",
        "images/org--name/00000018.png",
        "samples/org--name/part-00000.parquet",
        "samples/org--name/part-00001.parquet",
        "samples/org--name/part-00002.parquet",
    ],
)
@pytest.mark.parametrize("store", STORES)
def test_what_is_damaged_is_made_again(
    workspace: Workspace, scratch: Path, tmp_path: Path, path: str, how: str, store: Store
) -> None:
    if store == "parquet" and path.startswith("images"):
        pytest.skip("there are no such files")
    recipe = replace(RECIPE, store=store)
    store_all(workspace, scratch, recipe)
    _damage(workspace, path, how)
    store_all(workspace, scratch, recipe)
    assert files_in(workspace) == _expected(tmp_path, store)


def test_a_part_with_another_image_inside_is_made_again(workspace: Workspace, scratch: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, store="parquet")
    store_all(workspace, scratch, recipe)
    part = workspace.samples_of(NAME) / part_name(1)
    rows = records.read(part, Sample)
    # Whole pages, and rows as they were: only the bytes are those of another image.
    rows[0] = replace(rows[0], image=replace(rows[0].image, bytes=rows[2].image.bytes))
    records.write(part, Sample, rows, plain=("image.bytes",))
    store_all(workspace, scratch, recipe)
    assert files_in(workspace) == _expected(tmp_path, "parquet")


def test_two_damaged_parts_and_an_image_are_made_again(workspace: Workspace, scratch: Path, tmp_path: Path) -> None:
    store_all(workspace, scratch)
    for path in ("images/org--name/00000017.png", *(f"samples/org--name/{part_name(number)}" for number in (0, 1))):
        _damage(workspace, path, "flipped")
    store_all(workspace, scratch)
    assert files_in(workspace) == _expected(tmp_path)


def test_a_damaged_batch_is_made_again(workspace: Workspace, scratch: Path, tmp_path: Path) -> None:
    def stop() -> None:
        raise InterruptedStoringError

    for _ in range(3):
        with pytest.raises(InterruptedStoringError):
            store_all(workspace, scratch, after_batch=stop)
    _damage(workspace, "samples/org--name/batch-00000002/rows.parquet", "flipped")
    _damage(workspace, "samples/org--name/batch-00000004/00000005.png", "cut")
    store_all(workspace, scratch)
    assert files_in(workspace) == _expected(tmp_path)


def test_an_image_that_this_device_makes_otherwise_is_not_replaced(workspace: Workspace, scratch: Path) -> None:
    store_all(workspace, scratch)
    _damage(workspace, "images/org--name/00000004.png", "flipped")
    before = files_in(workspace)
    with pytest.raises(NotReproducibleError, match=r"00000004\.png is damaged and cannot be made again here: on other"):
        store_all(workspace, scratch, device="other")
    assert files_in(workspace) == before


def test_rows_that_are_lost_are_made_anew_on_another_device_with_their_images(
    workspace: Workspace, scratch: Path
) -> None:
    store_all(workspace, scratch)
    _damage(workspace, "samples/org--name/part-00001.parquet", "cut")
    store_all(workspace, scratch, device="other")
    for row in read_samples(workspace, NAME):
        assert row.device == ("other" if 8 <= row.index < 16 else "cpu")
        if row.sha256:
            content = (workspace.root / str(row.image.path)).read_bytes()
            assert content == png_of(row.index, row.device).content


def test_the_rows_of_the_first_process_count_where_two_kinds_of_devices_meet(
    workspace: Workspace, scratch: Path, tmp_path: Path
) -> None:
    late = GeneratorStore(workspace, NAME, segments_for(RECIPE), scratch, progress_of(workspace, NAME), lambda: None)
    other = workspace.locks / "other"
    other.mkdir()
    store_all(workspace, other)
    rows = [row_of(index, "other") for index in range(2)]
    images = {index: png_of(index, "other").content for index in range(2)}
    late.add(rows, images)
    for first in (2, 4):
        late.add(
            [row_of(index, "other") for index in (first, first + 1)],
            {index: png_of(index, "other").content for index in (first, first + 1) if index != 3},
        )
    with pytest.raises(TakenOverError, match="another kind of device"):
        late.add([row_of(6, "other"), row_of(7, "other")], {i: png_of(i, "other").content for i in (6, 7)})
    store_all(workspace, scratch)
    assert files_in(workspace) == _expected(tmp_path)
