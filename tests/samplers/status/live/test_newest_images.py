"""Which images are the newest, and what is served as one of them."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from samplers.sample import Sample
from samplers.status.live.newest_images import IMAGES, SHARDS, NewestImages
from samplers.status.run import Watcher
from samplers.storage.progress import progress_of
from tests.records import catalog_entry
from tests.samplers.inputs import write_catalog
from tests.samplers.status.live.serving import image_of, write_images, write_log
from tests.samplers.storage.making import NAME, RECIPE, png_of, row_of, store_all
from workspace import records
from workspace.layout import Workspace, part_name, sample_files


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace.open(tmp_path / "workspace")
    write_catalog(workspace, [catalog_entry(NAME, task="unconditional")])
    write_log(workspace, "1/1", NAME)
    return workspace


class StopError(Exception):
    pass


def look(workspace: Workspace, newest: NewestImages | None = None) -> list[int]:
    """The numbers of the newest images, after those that are not of the generator or not as their rows say."""
    newest = newest or NewestImages(workspace)
    found = newest.look(Watcher(workspace).look(0).shards)
    images = [image for one in found for image in one.images]
    for image in images:
        assert newest.content(image.sha256) == png_of(image.index).content
    return [image.index for image in images]


@pytest.mark.parametrize("store", ["files", "parquet"])
def test_the_newest_images_are_found_in_parts(workspace: Workspace, tmp_path: Path, store: str) -> None:
    store_all(workspace, tmp_path, replace(RECIPE, store=store))  # type: ignore[arg-type]
    assert not sample_files(workspace.samples_of(NAME)).journals
    assert look(workspace) == [18, 17, 16, 15, 14, 13]


@pytest.mark.parametrize("store", ["files", "parquet"])
def test_and_in_batches_that_are_in_no_part_yet(workspace: Workspace, tmp_path: Path, store: str) -> None:
    def stop() -> None:
        progress = progress_of(workspace, NAME)
        if progress.parts and len(progress.batches) == 2:
            raise StopError

    with pytest.raises(StopError):
        store_all(workspace, tmp_path, replace(RECIPE, store=store), after_batch=stop)  # type: ignore[arg-type]
    # 9 was rejected: the batches have three images, the part before them the others.
    assert look(workspace) == [11, 10, 8, 6, 5, 4]


def test_rows_are_read_again_only_where_there_are_new_ones(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(workspace, 0, 1)
    newest = NewestImages(workspace)
    assert look(workspace, newest) == [1, 0]
    with monkeypatch.context() as patched:
        patched.setattr("samplers.status.live.newest_images._newest", lambda _: pytest.fail("read again"))
        assert look(workspace, newest) == [1, 0]
    write_images(workspace, 0, 1, 2)
    assert look(workspace, newest) == [2, 1, 0]


def test_a_batch_that_is_appended_to_a_journal_is_seen(workspace: Workspace, tmp_path: Path) -> None:
    seen: list[list[int]] = []
    newest = NewestImages(workspace)
    store_all(workspace, tmp_path, after_batch=lambda: seen.append(look(workspace, newest)))
    assert seen[:3] == [[1, 0], [2, 1, 0], [5, 4, 2, 1, 0]]


def test_a_generator_without_images_yet_gives_way_to_the_one_before(workspace: Workspace) -> None:
    write_images(workspace, 0)
    write_log(workspace, "1/1", NAME, "org/next")
    assert look(workspace) == [0]


def test_of_many_shards_some_are_shown_and_of_few_the_generators_before(workspace: Workspace) -> None:
    names = [f"org/model-{number}" for number in range(20)]
    write_images(workspace, 0)
    for name in names:
        shutil.copytree(workspace.samples_of(NAME), workspace.samples_of(name))
    write_log(workspace, "1/1", *names[:4])
    newest = NewestImages(workspace)
    # The newest first; the log knows the last three.
    assert generators(workspace, newest) == ["org/model-3", "org/model-2", "org/model-1"]
    for number, name in enumerate(names, start=1):
        write_log(workspace, f"{number}/20", "org/model-19" if number == 2 else name)
    assert len(generators(workspace, newest)) == SHARDS
    # Two processes had it: it is shown once.
    assert generators(workspace, newest).count("org/model-19") == 1


def generators(workspace: Workspace, newest: NewestImages) -> list[str]:
    return [one.generator for one in newest.look(Watcher(workspace).look(0).shards)]


def test_of_many_images_so_many_are_shown(workspace: Workspace) -> None:
    write_images(workspace, *range(10, 40))
    assert len(look(workspace)) == IMAGES


@pytest.mark.attack
def test_a_file_that_is_not_the_row_s_image_is_not_served(workspace: Workspace, tmp_path: Path) -> None:
    changed, linked, missing, whole = write_images(workspace, 0, 1, 2, 4)
    secret = tmp_path / "secret"
    secret.write_bytes(png_of(1).content)
    image_of(workspace, changed).write_bytes(b"<script>alert(1)</script>")
    image_of(workspace, linked).unlink()
    # Even where the content is right: a link may lead anywhere.
    image_of(workspace, linked).symlink_to(secret)
    image_of(workspace, missing).unlink()
    newest = NewestImages(workspace)
    newest.look(Watcher(workspace).look(0).shards)
    contents = [newest.content(str(row.sha256)) for row in (changed, linked, missing, whole)]
    assert contents == [None, None, None, png_of(4).content]


@pytest.mark.attack
@pytest.mark.parametrize("name", ["../../recipe.toml", "/etc/passwd", "00000000.png/../../x", "recipe.toml"])
def test_a_row_that_names_another_file_names_no_image(workspace: Workspace, name: str) -> None:
    records.write(workspace.samples_of(NAME) / part_name(0), Sample, [row_of(2, image_name=name)])
    assert look(workspace) == []
