"""A removed real image and its captions are in no file; what other images were made of stays as it was."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from captioning.prompt import Prompt, numbers_of_parts, prompt_parts, read_prompts, require_all_parts
from captioning.prompt_table import PromptTable
from captioning.removed_prompts import read_removed
from manifests.building import build
from manifests.manifest import REAL, ManifestRow, manifest_path
from manifests.stage import build_manifest
from manifests.tables.generators import read_generators
from samplers.planning.prompting import PromptPool
from samplers.sample import Sample, read_samples
from samplers.storage.progress import progress_of
from tests.manifests.making import Builder
from tests.upkeep.contents import files_with, hashes
from upkeep.options import RemoveOptions
from upkeep.removal import remove
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.records import DamagedFileError

#: Files that a removal of real images may change, beside parts with their captions.
_CHANGED = ("prompts/photos", "samples/", "images/", "logs/", "manifest/", "report/", ".locks/", "removed.parquet")


@pytest.fixture
def photograph(template: Builder) -> Prompt:
    """The first one: its caption was the prompt of an image of each generator."""
    return template.prompts["photos"][0]


def _words(photograph: Prompt) -> tuple[str, ...]:
    return (str(photograph.real_sha256), photograph.prompt_id, f"'{photograph.prompt}'", str(photograph.real_path))


def _of(photograph: Prompt, reason: str = "privacy", **options: object) -> RemoveOptions:
    return RemoveOptions(reason=reason, real=(str(photograph.real_sha256),), **options)  # type: ignore[arg-type]


def test_the_image_and_its_caption_are_in_no_file_and_what_was_generated_from_it_stays(
    workspace: Workspace, photograph: Prompt
) -> None:
    copy = workspace.real_of("photos") / str(photograph.real_sha256)[:2] / f"{photograph.real_sha256}.png"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(Path(str(photograph.real_path)).read_bytes())
    before, images = hashes(workspace.root, *_CHANGED), hashes(workspace.images)
    rows = {name: read_samples(workspace, name) for name in ("org/painter", "solo-dreamer")}
    places = PromptPool(PromptTable.read(workspace)).digest
    assert len(files_with(workspace.root, *_words(photograph))) > 5
    report = remove(workspace, [], _of(photograph))
    assert files_with(workspace.root, *_words(photograph), copy.name) == []
    assert not copy.exists()
    assert Path(str(photograph.real_path)).exists()  # the user's own copy of the data set
    assert hashes(workspace.images) == images
    after = hashes(workspace.root, *_CHANGED)
    assert after == {path: sha256 for path, sha256 in before.items() if path in after}
    assert read_samples(workspace, "solo-dreamer") == rows["solo-dreamer"]
    changed = [
        (old, new) for old, new in zip(rows["org/painter"], read_samples(workspace, "org/painter"), strict=True)
        if old != new
    ]  # fmt: skip
    assert len(changed) == 2  # kept, and rejected
    for old, new in changed:
        assert old.prompt_id == photograph.prompt_id
        assert new == replace(old, prompt=None, prompt_id=new.prompt_id)
        assert new.prompt_id is not None
        assert new.prompt_id.startswith("removed:")
    assert PromptPool(PromptTable.read(workspace)).digest == places
    assert "5 images of 4 generators made from their captions: they stay" in "\n".join(report.lines())


def test_with_generated_removes_the_images_too_and_samples_none_in_their_place(
    workspace: Workspace, photograph: Prompt
) -> None:
    names = ("org/painter", "org/sketcher", "org/tuned", "org/lora")
    kept = {name: progress_of(workspace, name).kept for name in names}
    made = {name: {row.index: row for row in read_samples(workspace, name)} for name in names}
    remove(workspace, [], _of(photograph, with_generated=True))
    for name in names:
        progress = progress_of(workspace, name)
        assert progress.kept == kept[name]
        assert not progress.damaged
        for row in read_samples(workspace, name):
            former = made[name][row.index]
            assert row.sha256 == former.sha256
            if former.prompt_id == photograph.prompt_id and former.status == "ok":
                assert (row.status, row.image_name, row.image.path) == ("removed", None, None)
                assert not (workspace.images_of(name) / str(former.image_name)).exists()
            elif former.prompt_id != photograph.prompt_id:
                assert row == former
    build(workspace)
    removed = {row.model_name: row.removed for row in read_generators(workspace) if row.removed}
    assert removed == dict.fromkeys(names, 1)


def test_the_manifest_has_neither_the_image_nor_its_caption(workspace: Workspace, photograph: Prompt) -> None:
    remove(workspace, [], _of(photograph))
    build_manifest(workspace)
    assert files_with(workspace.root, *_words(photograph)) == []
    rows = records.read(manifest_path(workspace), ManifestRow)
    assert photograph.real_sha256 not in {row.sha256 for row in rows if row.label == REAL}
    without = [row for row in rows if row.label != REAL and row.prompt is None and row.task == "text-to-image"]
    assert {(row.model_name, row.real_id, row.caption_origin) for row in without} == {
        (name, None, None) for name in ("org/painter", "org/sketcher", "org/tuned", "org/lora")
    }


def test_a_licence_is_removed_with_all_its_images_now_and_later(workspace: Workspace, template: Builder) -> None:
    remove(workspace, [], RemoveOptions(reason="licence", license=("CC0*",)))
    assert {prompt.real_source for prompt in read_prompts(workspace)} == {"locked"}
    assert files_with(workspace.root, *(str(photo.real_sha256) for photo in template.prompts["photos"])) == []
    unknown = RemoveOptions(reason="licence", license=("none",))
    remove(workspace, [], unknown)
    assert read_prompts(workspace) == []
    assert len(PromptTable.read(workspace)) == 9
    assert list(remove(workspace, [], unknown).lines()) == []


def test_the_number_of_parts_that_captioning_counted_is_kept(workspace: Workspace, photograph: Prompt) -> None:
    part = next(path for path in prompt_parts(workspace) if path.parent.name == "photos")
    records.write(part, Prompt, records.read(part, Prompt), metadata=numbers_of_parts({"locked": 1, "photos": 2}))
    remove(workspace, [], _of(photograph))
    with pytest.raises(UsageError, match="photos has 1 of 2 parts"):
        require_all_parts(workspace)
    (place,) = read_removed(part)
    assert (place.row, place.real_source) == (0, "photos")


def test_images_of_what_was_removed_before_are_removed_later(workspace: Workspace, photograph: Prompt) -> None:
    remove(workspace, [], _of(photograph))
    first = {row.index for row in read_samples(workspace, "org/tuned") if row.status == "removed"}
    remove(workspace, [], _of(photograph, with_generated=True))
    second = {row.index for row in read_samples(workspace, "org/tuned") if row.status == "removed"}
    assert (len(first), len(second)) == (0, 1)


def test_rows_that_cannot_be_read_are_removed_as_they_may_have_the_caption(
    workspace: Workspace, photograph: Prompt
) -> None:
    part = next(iter(sorted(workspace.samples_of("org/tuned").glob("part-*"))))
    part.write_bytes(part.read_bytes()[:-7])
    report = remove(workspace, [], _of(photograph))
    assert f"{part} was damaged and is removed: `cf-sample` makes it again" in list(report.lines())
    assert not part.exists()


def test_damaged_prompts_are_named_before_anything_is_removed(workspace: Workspace, photograph: Prompt) -> None:
    part = next(path for path in prompt_parts(workspace) if path.parent.name == "locked")
    content = bytearray(part.read_bytes())
    content[200] ^= 1
    part.write_bytes(bytes(content))
    before = hashes(workspace.root)
    with pytest.raises(DamagedFileError, match="run `cf-caption` again"):
        remove(workspace, [], _of(photograph))
    assert hashes(workspace.root) == before


def test_images_inside_parts_are_removed_too(template: Builder, tmp_path: Path, photograph: Prompt) -> None:
    shutil.copytree(template.workspace.root, tmp_path / "workspace")
    workspace = Workspace(tmp_path / "workspace")
    part = sorted(workspace.samples_of("org/tuned").glob("part-*"))[0]
    rows = records.read(part, Sample)
    content = {row.index: (workspace.root / str(row.image.path)).read_bytes() for row in rows}
    inside = [replace(row, image=replace(row.image, bytes=content[row.index])) for row in rows]
    records.write(part, Sample, inside, plain=("image.bytes",))
    remove(workspace, [], _of(photograph, with_generated=True))
    after = records.read(part, Sample)
    assert [row.image.bytes is None for row in after] == [row.prompt_id == photograph.prompt_id for row in rows]
    assert content[0] not in part.read_bytes()
