"""What prompts/ says of real images, and their files: damage is found and named."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from manifests.building import build
from tests.manifests.making import Builder, own_prompt
from workspace.errors import CommunityForensicsError


def changed(**changes: Any) -> Callable[[Builder], None]:
    """The first photograph's prompt, changed."""

    def change(builder: Builder) -> None:
        builder.prompts["photos"][0] = replace(builder.prompts["photos"][0], **changes)

    return change


def half_an_image(builder: Builder) -> None:
    builder.prompts["words"] = [replace(own_prompt("words", 1), real_id="1.jpg")]


DAMAGE: dict[str, tuple[Callable[[Builder], None], str]] = {
    "a caption of a data set without its image": (
        changed(real_id=None, real_path=None, real_sha256=None, real_format=None, real_width=None, real_height=None),
        r"1 prompt has no real image, and is not of a file of prompts: photos/folder/0.png \(remove the folder",
    ),
    "an own prompt with half an image": (
        half_an_image,
        r"1 prompt has no real image, and is not of a file of prompts: words/1",
    ),
    "a file of another length": (
        changed(real_file_size=7),
        r"1 real image has another number of bytes than when it was captioned: \S*real/photos/0.png \(restore",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_prompt_or_real_image_that_is_damaged_is_found_and_named(filled: Builder, damage: str) -> None:
    change, message = DAMAGE[damage]
    change(filled)
    with pytest.raises(CommunityForensicsError) as refused:
        build(filled.write())
    assert re.search(message, str(refused.value)), str(refused.value)


def test_a_real_image_of_the_length_that_was_recorded_passes(builder: Builder) -> None:
    photo = builder.real("photos", 1)
    size = len(builder.picture("photos", 1, 24))
    builder.prompts["photos"] = [replace(photo, real_file_size=size)]
    builder.sample(builder.generator("org/painter"), photo)
    assert build(builder.write()).real == 1
