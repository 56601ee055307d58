from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from manifests.building import build
from manifests.checks.files import chunks_of
from manifests.manifest import manifest_path
from samplers.sample import ImageFile
from tests.manifests.making import Builder, png, sha256
from workspace.errors import CommunityForensicsError

PAINTER = "org/painter"
FIRST = "images/org--painter/00000000.png"


def first(builder: Builder) -> Path:
    return builder.workspace.root / FIRST


def with_metadata(builder: Builder) -> None:
    """A PNG that says how it was made, with a row that agrees with its bytes."""
    note = PngInfo()
    note.add_text("parameters", "a prompt")
    with Image.open(first(builder)) as image:
        image.save(first(builder), pnginfo=note)
    builder.change(PAINTER, 0, sha256=sha256(first(builder).read_bytes()))


def as_jpeg(builder: Builder) -> None:
    cv2.imwrite(str(first(builder).with_suffix(".jpg")), np.zeros((16, 16, 3), np.uint8))
    first(builder).with_suffix(".jpg").rename(first(builder))
    builder.change(PAINTER, 0, sha256=sha256(first(builder).read_bytes()))


def flip_a_byte(builder: Builder) -> None:
    content = bytearray(first(builder).read_bytes())
    content[-20] ^= 1
    first(builder).write_bytes(content)


# What happens to the workspace, and what the reader is told about it.
DAMAGE: dict[str, tuple[Callable[[Builder], object], str]] = {
    "missing file": (lambda b: first(b).unlink(), rf"1 are not there: {FIRST}"),
    "empty file": (lambda b: first(b).write_bytes(b""), rf"1 are empty files: {FIRST}"),
    "flipped byte": (flip_a_byte, rf"1 have another sha256 than their row says: {FIRST}"),
    "metadata in a PNG": (with_metadata, rf"1 hold metadata beside the picture: {FIRST}"),
    "a JPEG named .png": (as_jpeg, rf"1 are not PNG files: {FIRST}"),
    "a folder for a file": (lambda b: (first(b).unlink(), first(b).mkdir()), r"cannot be read|are not PNG"),
    "real image gone": (lambda b: Path(b.prompts["photos"][0].real_path).unlink(), r"1 are not there: .*real/photos/0"),
    "duplicate key": (lambda b: b.change(PAINTER, 1, index=0), r"1 stand twice in samples/: org/painter #0"),
    "orphan row": (
        lambda b: b.catalog.pop(0),
        r"1 come from a generator that the catalogue does not have.*org/painter@",
    ),
    "another revision": (
        lambda b: b.change(PAINTER, 1, revision="f" * 40),
        r"does not have at that revision: org/painter@ff",
    ),
    "unknown prompt": (lambda b: b.change(PAINTER, 3, prompt_id="photos/gone"), r"org/painter #3: photos/gone"),
    "prompt twice": (lambda b: b.prompts["photos"].append(b.prompts["photos"][0]), r"whose id stands twice.*folder/0"),
    "generator twice": (
        lambda b: b.catalog.append(b.catalog[0]),
        r"1 are generators that stand twice in the catalogue",
    ),
    "flagged row": (lambda b: b.change(PAINTER, 0, nsfw_flag=True), rf"1 were kept although flagged.*: {FIRST}"),
    "unchecked row": (lambda b: b.change(PAINTER, 0, nsfw_flag=None), rf"1 were kept although flagged.*: {FIRST}"),
    "pixels of a rejected try": (
        lambda b: b.change(PAINTER, 9, image=ImageFile(path="images/x.png")),
        r"1 were rejected and still have pixels: org/painter #9",
    ),
    "one file for two rows": (
        lambda b: b.change(PAINTER, 1, image=ImageFile(path=FIRST)),
        rf"share their file.*: {FIRST}",
    ),
    "row without a name": (lambda b: b.change(PAINTER, 1, image_name=None), r"1 rows have no image_name"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found_and_named_and_no_manifest_is_left(filled: Builder, damage: str) -> None:
    plant, told = DAMAGE[damage]
    plant(filled)
    workspace = filled.write()
    with pytest.raises(CommunityForensicsError, match=told):
        build(workspace, verify="full")
    assert not manifest_path(workspace).exists()
    assert not list(workspace.manifest.iterdir())


def test_every_failure_is_told_at_once(filled: Builder) -> None:
    first(filled).unlink()
    filled.change(PAINTER, 1, nsfw_flag=True)
    with pytest.raises(CommunityForensicsError) as told:
        build(filled.write())
    assert str(told.value).count("\n  - ") == 2


def test_many_rows_are_counted_and_a_few_named(filled: Builder) -> None:
    for sample in filled.samples[PAINTER][:9]:
        (filled.workspace.root / str(sample.image.path)).unlink()
    with pytest.raises(CommunityForensicsError, match=r"9 are not there: (\S+, ){4}\S+ and 4 more"):
        build(filled.write())


def test_a_real_image_that_may_not_be_passed_on_need_not_be_at_hand(filled: Builder) -> None:
    for prompt in filled.prompts["locked"]:
        Path(prompt.real_path).unlink()
    assert build(filled.write(), verify="full").real == 9


def test_quick_reads_some_files_and_full_all(builder: Builder) -> None:
    generator = builder.generator("org/painter")
    for _ in range(200):
        sample = builder.sample(generator, None)
        (builder.workspace.root / str(sample.image.path)).write_bytes(b"damaged")
    workspace = builder.write(rows_a_part=200)
    with pytest.raises(CommunityForensicsError) as quick:
        build(workspace)
    with pytest.raises(CommunityForensicsError, match="200 have another sha256"):
        build(workspace, verify="full")
    found = int(str(quick.value).split("  - ")[1].split()[0])
    assert 0 < found < 20


def test_the_chunks_of_a_picture() -> None:
    assert list(chunks_of(png(1))) == [b"IHDR", b"IDAT", b"IEND"]


@given(st.binary())
def test_chunks_of_anything_come_to_an_end(content: bytes) -> None:
    assert len(list(chunks_of(content))) <= len(content) / 8 + 1
