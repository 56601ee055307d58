"""What is on the disk after every batch, after interruptions and after damage."""

import os
import resource
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from engines.claims import TakenOverError
from samplers.options import Store
from samplers.sample import ImageFile, Sample, read_samples
from samplers.storage.generator_store import GeneratorStore, NotReproducibleError
from samplers.storage.missing_ranges import MissingRange
from samplers.storage.progress import GeneratorProgress, progress_of
from tests.samplers.storage.making import (
    NAME,
    RECIPE,
    batches,
    files_in,
    flipped,
    png_of,
    row_of,
    segments_for,
    store_all,
)
from tests.scale import scaled
from workspace import records
from workspace.layout import Workspace, part_name, parts_in, sample_files

STORES: tuple[Store, ...] = ("files", "parquet")


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


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[Store, dict[str, bytes]]:
    """All files of a run without interruptions and damage, in each store."""
    files: dict[Store, dict[str, bytes]] = {}
    for store in STORES:
        workspace = Workspace.open(tmp_path_factory.mktemp("undisturbed"))
        (workspace.root / "scratch").mkdir()
        store_all(workspace, workspace.root / "scratch", replace(RECIPE, store=store))
        files[store] = files_in(workspace)
    return files


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
    workspace: Workspace, scratch: Path, expected: dict[Store, dict[str, bytes]], store: Store
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
    assert files_in(workspace) == expected[store]


def test_images_appear_with_their_part(workspace: Workspace, scratch: Path) -> None:
    seen = []

    def look() -> None:
        rows, folder = read_samples(workspace, NAME), workspace.images_of(NAME)
        files = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        assert files == [row.image_name for row in rows if row.image_name]
        seen.append(len(files))

    store_all(workspace, scratch, after_batch=look)
    assert seen == [0, 0, 0, 7, 7, 7, 7, 14, 14, 17]


def _put(workspace: Workspace, files: dict[str, bytes]) -> None:
    """A run that has ended, from its files."""
    for path, content in files.items():
        (workspace.root / path).parent.mkdir(parents=True, exist_ok=True)
        (workspace.root / path).write_bytes(content)


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


# `make soak` has empty files too, and a part in the middle.
@pytest.mark.parametrize("how", ["missing", "cut", "flipped", *scaled([], ["empty"])])
@pytest.mark.parametrize(
    "path",
    [
        "images/org--name/00000004.png",
        "images/org--name/00000018.png",
        "samples/org--name/part-00000.parquet",
        *scaled([], ["samples/org--name/part-00001.parquet"]),
        "samples/org--name/part-00002.parquet",
    ],
)
@pytest.mark.parametrize("store", STORES)
def test_what_is_damaged_is_made_again(
    workspace: Workspace, scratch: Path, expected: dict[Store, dict[str, bytes]], path: str, how: str, store: Store
) -> None:
    if store == "parquet" and path.startswith("images"):
        pytest.skip("there are no such files")
    _put(workspace, expected[store])
    _damage(workspace, path, how)
    store_all(workspace, scratch, replace(RECIPE, store=store))
    assert files_in(workspace) == expected[store]


def test_a_part_with_another_image_inside_is_made_again(
    workspace: Workspace, scratch: Path, expected: dict[Store, dict[str, bytes]]
) -> None:
    recipe = replace(RECIPE, store="parquet")
    store_all(workspace, scratch, recipe)
    part = workspace.samples_of(NAME) / part_name(1)
    rows = records.read(part, Sample)
    # Whole pages, and rows as they were: only the bytes are those of another image.
    rows[0] = replace(rows[0], image=replace(rows[0].image, bytes=rows[2].image.bytes))
    records.write(part, Sample, rows, plain=("image.bytes",))
    store_all(workspace, scratch, recipe)
    assert files_in(workspace) == expected["parquet"]


def test_two_damaged_parts_and_an_image_are_made_again(
    workspace: Workspace, scratch: Path, expected: dict[Store, dict[str, bytes]]
) -> None:
    store_all(workspace, scratch)
    for path in ("images/org--name/00000017.png", *(f"samples/org--name/{part_name(number)}" for number in (0, 1))):
        _damage(workspace, path, "flipped")
    store_all(workspace, scratch)
    assert files_in(workspace) == expected["files"]


class StoppedError(Exception):
    pass


def _stop_after(batches: int) -> Callable[[], None]:
    left = iter(range(batches - 1))

    def stop() -> None:
        if next(left, None) is None:
            raise StoppedError

    return stop


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("damage", ["header", "length", "rows", "image", "cut", "half a header", "empty", "missing"])
def test_a_damaged_batch_is_made_again(
    workspace: Workspace, scratch: Path, expected: dict[Store, dict[str, bytes]], store: Store, damage: str
) -> None:
    recipe = replace(RECIPE, store=store)
    with pytest.raises(StoppedError):
        store_all(workspace, scratch, recipe, after_batch=_stop_after(3))
    (journal,) = sample_files(workspace.samples_of(NAME)).journals
    content = bytearray(journal.read_bytes())
    second = content.index(b"CFJ1", 4)
    third = content.index(b"CFJ1", second + 4)
    place = {"header": second, "length": second + 4, "rows": third - 20, "image": content.index(b"IDAT", second)}
    if damage in place:
        content[place[damage]] ^= 1
        journal.write_bytes(content)
    elif damage == "missing":
        journal.unlink()
    else:
        os.truncate(journal, {"cut": third + 100, "half a header": third + 7, "empty": 0}[damage])
    whole = {"rows": 2, "image": 2, "cut": 2, "half a header": 2}.get(
        damage, 1 if damage in ("header", "length") else 0
    )
    assert len(progress_of(workspace, NAME).batches) == whole
    store_all(workspace, scratch, recipe)
    assert files_in(workspace) == expected[store]


@pytest.mark.parametrize("store", STORES)
def test_batches_of_other_processes_become_parts_whoever_made_them_in_whichever_order(
    workspace: Workspace, scratch: Path, expected: dict[Store, dict[str, bytes]], store: Store
) -> None:
    recipe = replace(RECIPE, store=store)
    segments = segments_for(recipe)
    made = list(batches(MissingRange(segment=segments[0], first=0, stop=16, call_size=2, memory=None)))
    for number in (7, 0, 4, 2, 6, 1, 3, 5):
        helper = GeneratorStore(workspace, NAME, segments, scratch, GeneratorProgress(), lambda: None)
        helper.add(*made[number])
    assert not parts_in(workspace.samples_of(NAME))
    assert len(progress_of(workspace, NAME).batches) == 8
    store_all(workspace, scratch, recipe)
    assert files_in(workspace) == expected[store]


@pytest.mark.parametrize("store", STORES)
def test_a_journal_that_another_process_writes_is_read_up_to_its_last_whole_batch(
    workspace: Workspace, scratch: Path, store: Store
) -> None:
    segments = segments_for(replace(RECIPE, store=store))
    other = GeneratorStore(workspace, NAME, segments, scratch, GeneratorProgress(), lambda: None)
    made = list(batches(MissingRange(segment=segments[0], first=0, stop=6, call_size=2, memory=None)))
    other.add(*made[0])
    (journal,) = sample_files(workspace.samples_of(NAME)).journals
    first = journal.read_bytes()
    other.add(*made[1])
    both = journal.read_bytes()
    for length in range(len(first), len(both) + 1, 97):
        journal.write_bytes(both[:length])
        assert [row.index for row in progress_of(workspace, NAME).rows] == [0, 1]
    journal.write_bytes(both)
    assert [row.index for row in progress_of(workspace, NAME).rows] == [0, 1, 2, 3]


@pytest.mark.parametrize("store", STORES)
def test_batches_that_a_former_version_left_in_folders_become_parts(
    workspace: Workspace, scratch: Path, expected: dict[Store, dict[str, bytes]], store: Store
) -> None:
    segments = segments_for(replace(RECIPE, store=store))
    made = list(batches(MissingRange(segment=segments[0], first=0, stop=8, call_size=2, memory=None)))
    for rows, images in made[:3]:
        folder = workspace.samples_of(NAME) / f"batch-{rows[0].index:08d}"
        records.write(folder / "rows.parquet", Sample, rows)
        for index, content in images.items():
            (folder / f"{index:08d}.png").write_bytes(content)
    # One is damaged, as by a disk.
    image = workspace.samples_of(NAME) / "batch-00000004" / "00000005.png"
    image.write_bytes(flipped(image))
    assert [row.index for row in progress_of(workspace, NAME).rows] == [0, 1, 2, 3]
    store_all(workspace, scratch, replace(RECIPE, store=store))
    assert files_in(workspace) == expected[store]
    assert not [path for path in workspace.samples_of(NAME).iterdir() if path.is_dir()]


def test_a_part_whose_images_have_no_names_yet_is_completed_with_those_that_decided_it(
    workspace: Workspace, scratch: Path, expected: dict[Store, dict[str, bytes]]
) -> None:
    """A process is killed while it names the images of a part; another kind of device had made the same samples."""
    segments = segments_for(RECIPE)
    other = GeneratorStore(workspace, NAME, segments, scratch, GeneratorProgress(), lambda: None)
    for rows, images in batches(MissingRange(segment=segments[0], first=0, stop=6, call_size=2, memory=None), "other"):
        other.add(rows, images)
    # It is asked before each batch and each image.
    first = GeneratorStore(workspace, NAME, segments, scratch, GeneratorProgress(), _stop_after(4 + 3))
    made = list(batches(MissingRange(segment=segments[0], first=0, stop=8, call_size=2, memory=None)))
    for batch in made[:3]:
        first.add(*batch)
    with pytest.raises(StoppedError):
        first.add(*made[3])
    assert list(workspace.images_of(NAME).iterdir())
    assert [path.name for path in sample_files(workspace.samples_of(NAME)).prepared] == ["prepared-00000.parquet"]
    assert read_samples(workspace, NAME) == []
    # Whichever journal is listed first.
    assert {row.sha256 for row in progress_of(workspace, NAME).rows if row.sha256} == {
        row.sha256 for rows, _ in made for row in rows if row.sha256
    }
    with pytest.raises(TakenOverError):
        other.add(*next(iter(batches(MissingRange(segment=segments[0], first=6, stop=8, call_size=2, memory=None)))))
    store_all(workspace, scratch)
    assert files_in(workspace) == expected["files"]


def test_a_part_whose_images_are_lost_before_they_have_names_is_made_anew(
    workspace: Workspace, scratch: Path, expected: dict[Store, dict[str, bytes]]
) -> None:
    segments = segments_for(RECIPE)
    first = GeneratorStore(workspace, NAME, segments, scratch, GeneratorProgress(), _stop_after(4 + 3))
    missing = MissingRange(segment=segments[0], first=0, stop=8, call_size=2, memory=None)
    made = list(batches(missing, "other"))
    for batch in made[:3]:
        first.add(*batch)
    with pytest.raises(StoppedError):
        first.add(*made[3])
    for journal in sample_files(workspace.samples_of(NAME)).journals:
        journal.unlink()
    store_all(workspace, scratch)
    assert files_in(workspace) == expected["files"]


def test_a_batch_that_the_disk_has_no_space_for_leaves_those_before_it(workspace: Workspace, scratch: Path) -> None:
    """What follows a half written batch would not be found: it is cut off."""
    store = GeneratorStore(workspace, NAME, segments_for(RECIPE), scratch, GeneratorProgress(), lambda: None)
    made = list(batches(MissingRange(segment=segments_for(RECIPE)[0], first=0, stop=6, call_size=2, memory=None)))
    store.add(*made[0])
    (journal,) = sample_files(workspace.samples_of(NAME)).journals
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (journal.stat().st_size + 1000, limits[1]))
        with pytest.raises(OSError, match=r"File too large.*journal-00000000"):
            store.add(*made[1])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, former)
    store.add(*made[2])
    assert [row.index for row in progress_of(workspace, NAME).rows] == [0, 1, 4, 5]


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
    workspace: Workspace, scratch: Path, expected: dict[Store, dict[str, bytes]]
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
    assert files_in(workspace) == expected["files"]
