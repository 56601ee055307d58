"""Damaged files of images, generated and real, are found and named when the manifest is built."""

import re
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from manifests.building import build
from manifests.checks.files import QUICK_ONE_IN
from manifests.options import BuildOptions
from samplers.options import Store
from tests.manifests.checks.damage import (
    PAINTER,
    Damaged,
    Victim,
    assert_left_out,
    assert_others_are_whole,
    flip_a_byte,
    with_victims,
)
from tests.manifests.making import Builder, sha256
from tests.scale import scaled
from workspace.errors import CommunityForensicsError

FIRST = "images/org--painter/00000000.png"
#: The same image in either store.
PLACE = r"(images/org--painter/|samples/org--painter/part-00000\.parquet#)00000000\.png"


def with_metadata(victim: Victim) -> None:
    note = PngInfo()
    note.add_text("parameters", "a prompt")
    with Image.open(victim.first) as image:
        victim.save(image, pnginfo=note)


def animated(victim: Victim) -> None:
    with Image.open(victim.first) as image:
        victim.save(image, save_all=True, append_images=[image.rotate(90)])


def as_jpeg(victim: Victim) -> None:
    victim.rewrite(cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))[1].tobytes())


def with_pixels_that_do_not_unpack(victim: Victim) -> None:
    """A PNG of whole chunks in which the pixels are none."""
    data = b"no deflated data"
    chunk = len(data).to_bytes(4, "big") + b"IDAT" + data + zlib.crc32(b"IDAT" + data).to_bytes(4, "big")
    content = victim.first.read_bytes()
    victim.rewrite(content[:33] + chunk + content[-12:])


def photograph(builder: Builder, number: int) -> Path:
    return Path(builder.prompts["photos"][number].real_path)


def change_prompt(builder: Builder, number: int, **changes: Any) -> None:
    builder.prompts["photos"][number] = replace(builder.prompts["photos"][number], **changes)


# What happens to the files, and the message about it.
FILES: dict[str, tuple[Callable[[Victim], object], str]] = {
    "missing file": (lambda v: v.first.unlink(), r"1 (image file is missing|sample names a file of another sample): "),
    "flipped byte": (lambda v: flip_a_byte(v.first), rf"1 image file has another sha256 than its row says: {PLACE}"),
    "metadata in a PNG": (with_metadata, rf"1 image file contains metadata: {PLACE}"),
    "an animation": (animated, rf"1 image file contains metadata: {PLACE}"),
    "a sha256 in capitals": (
        lambda v: v.change(sha256=sha256(v.first.read_bytes()).upper()),
        rf"1 image file has another sha256 than its row says: {PLACE}",
    ),
    "a JPEG named .png": (as_jpeg, rf"1 image file is not PNG: {PLACE}"),
    "something behind the picture": (
        lambda v: v.rewrite(v.first.read_bytes() + b"PK\3\4 an archive"),
        rf"1 image file contains data after the end of the picture: {PLACE}",
    ),
    "a PNG that is cut short": (
        lambda v: v.rewrite(v.first.read_bytes()[:-30]),
        rf"1 image file is a damaged PNG: {PLACE}",
    ),
    "a PNG of other pixels than it says": (with_pixels_that_do_not_unpack, rf"1 image file is a damaged PNG: {PLACE}"),
    "wrong size": (
        lambda v: v.change(width=17),
        rf"1 image has another mode or size than its row says: {PLACE}",
    ),
    "wrong mode": (
        lambda v: v.change(mode="L"),
        rf"1 image has another mode or size than its row says: {PLACE}",
    ),
    "a palette": (
        lambda v: v.save(Image.open(v.first).convert("P")),
        rf"1 image has another mode or size than its row says: {PLACE}",
    ),
    "a blank picture": (lambda v: v.save(Image.new("RGB", (16, 16), "navy")), rf"1 image is blank: {PLACE}"),
}

OF_ANOTHER_KIND = r"2 real images have another format or size than their prompts say: .*real/photos/{number}"

# And to real images: the damage of the photograph of this number.
REAL_IMAGES: dict[str, tuple[Callable[[Builder, int], object], str]] = {
    "gone": (
        lambda b, number: photograph(b, number).unlink(),
        r"1 real image is missing: \S*real/photos/{number}.*--edition public",
    ),
    "empty": (
        lambda b, number: photograph(b, number).write_bytes(b""),
        r"1 real image file is empty: \S*real/photos/{number}",
    ),
    "changed": (
        lambda b, number: flip_a_byte(photograph(b, number)),
        r"1 real image has another sha256 than when it was captioned: \S*real/photos/{number}",
    ),
    "of another size": (
        lambda b, number: change_prompt(b, number, real_width=25),
        OF_ANOTHER_KIND,
    ),
    "of another format": (
        lambda b, number: change_prompt(b, number, real_format="JPEG"),
        OF_ANOTHER_KIND,
    ),
}

# The same for what only files of their own can suffer.
FILES_OF_THEIR_OWN: dict[str, tuple[Callable[[Victim], object], str]] = {
    "empty file": (lambda v: v.first.write_bytes(b""), rf"1 image file is empty: {FIRST}"),
    "a file that is too short": (
        lambda v: v.first.write_bytes(v.first.read_bytes()[:-1]),
        rf"1 image file has another number of bytes than its row says: {FIRST}",
    ),
    "a folder for a file": (
        lambda v: (v.first.unlink(), v.first.mkdir()),
        r"1 image file (has another number of bytes|cannot be read).*: " + FIRST,
    ),
}


@pytest.fixture(scope="module", params=get_args(Store))
def damaged_files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Damaged:
    """What is built where every damage of `FILES` has happened to a generator of its own."""
    builder, victims = with_victims(tmp_path_factory.mktemp("files"), FILES)
    for damage, victim in victims.items():
        FILES[damage][0](victim)
    return build(builder.write(store=request.param), BuildOptions(verify="full")), victims


@pytest.mark.parametrize("damage", FILES)
def test_a_damaged_file_is_found_and_named_in_either_store(damaged_files: Damaged, damage: str) -> None:
    built, victims = damaged_files
    assert_left_out(built, victims[damage], FILES[damage][1])


def test_damaged_files_cost_no_other_generator(damaged_files: Damaged) -> None:
    built, victims = damaged_files
    assert len(built.damaged) == len(victims)
    assert_others_are_whole(built, victims["missing file"].builder.workspace)


# The store is that of generated images: both with `make soak`.
@pytest.mark.parametrize("store", scaled(["files"], [*get_args(Store)]))
def test_every_damaged_real_image_is_found_and_named(filled: Builder, store: Store) -> None:
    for number, (plant, _) in enumerate(REAL_IMAGES.values()):
        plant(filled, number)
    with pytest.raises(CommunityForensicsError) as refusal:
        build(filled.write(store=store), BuildOptions(verify="full"))
    assert not list(filled.workspace.manifest.iterdir())
    for number, (_, message) in enumerate(REAL_IMAGES.values()):
        assert re.search(message.replace("{number}", str(number)), str(refusal.value)), refusal.value


def test_a_damaged_separate_file_is_found_without_reading_it(tmp_path: Path) -> None:
    builder, victims = with_victims(tmp_path, FILES_OF_THEIR_OWN)
    for damage, victim in victims.items():
        FILES_OF_THEIR_OWN[damage][0](victim)
    built = build(builder.write(), BuildOptions(verify="quick"))
    for damage, victim in victims.items():
        assert_left_out(built, victim, FILES_OF_THEIR_OWN[damage][1])
    assert_others_are_whole(built, builder.workspace)


def test_quick_fetches_nothing_from_an_archive_that_it_does_not_read(builder: Builder) -> None:
    """To ask for the size of one member could be to fetch the archive."""
    photos = (builder.real("photos", number) for number in range(99))
    photo = next(photo for photo in photos if int(photo.real_sha256[:8], 16) % QUICK_ONE_IN)
    gone = replace(photo, real_path=f"{builder.workspace.root}/gone.tar#0.png")
    builder.prompts["photos"] = [gone]
    builder.sample(builder.generator(PAINTER), gone)
    build(builder.write())
    with pytest.raises(CommunityForensicsError, match=r"1 real image is missing: .*gone.tar#0.png"):
        build(builder.workspace, BuildOptions(verify="full"))


def test_quick_reads_some_files_and_full_all(builder: Builder) -> None:
    generator = builder.generator("org/painter", task="unconditional")
    for _ in range(200):
        sample = builder.sample(generator, None)
        flip_a_byte(builder.workspace.root / str(sample.image.path))
    workspace = builder.write(rows_a_part=200)
    with pytest.raises(CommunityForensicsError) as quick:
        build(workspace)
    with pytest.raises(CommunityForensicsError, match="200 image files have another sha256"):
        build(workspace, BuildOptions(verify="full"))
    found = int(str(quick.value).split("  - ")[1].split()[0])
    assert 0 < found < 20
