"""Prompts, from real images or the user's own."""

import csv
import shutil

from tests.journeys.user import User
from tests.small_hub import write_photographs


def test_i_want_the_captions_that_lie_beside_my_photographs(newcomer: User) -> None:
    write_photographs(newcomer.folder / "photos")
    photographs = sorted((newcomer.folder / "photos").iterdir())
    for photograph in photographs:
        photograph.with_suffix(".txt").write_text(f"what I see in {photograph.stem}")
    newcomer.types("cf-caption --source mine=photos")
    assert {one.prompt for one in newcomer.prompts} == {f"what I see in {one.stem}" for one in photographs}
    assert {one.caption_origin for one in newcomer.prompts} == {"dataset"}


def test_i_want_my_own_prompts_and_no_photographs(newcomer: User) -> None:
    (newcomer.folder / "prompts.txt").write_text("the digit three\nthe digit seven\n")
    newcomer.types("cf-crawl --only inkwell/if-digits")
    newcomer.types("cf-caption --prompts prompts.txt")
    newcomer.types("cf-sample --images 2")
    assert {row.prompt for row in newcomer.samples("inkwell/if-digits")} <= {"the digit three", "the digit seven"}
    assert len(newcomer.images) == 2


def test_i_want_some_prompts_more_often_than_others(newcomer: User) -> None:
    with (newcomer.folder / "prompts.csv").open("w") as file:
        csv.writer(file).writerows([["prompt", "weight"], ["the digit one", 5], ["the digit two", 1]])
    newcomer.types("cf-caption --prompts prompts.csv")
    assert {one.prompt: one.weight for one in newcomer.prompts} == {"the digit one": 5, "the digit two": 1}


def test_i_want_a_workspace_that_needs_no_other_folder(newcomer: User) -> None:
    write_photographs(newcomer.folder / "photos")
    (newcomer.folder / "photos" / "captions.csv").write_text(
        "file_name,caption\n" + "".join(f"{one.name},a thing\n" for one in (newcomer.folder / "photos").glob("*.*"))
    )
    newcomer.types("cf-caption --source mine=photos --copy")
    shutil.rmtree(newcomer.folder / "photos")
    assert all((newcomer.workspace.root / one.real_path).is_file() for one in newcomer.prompts)


def test_i_want_to_move_my_photographs_to_another_disk(owner: User) -> None:
    (owner.folder / "coco").rename(owner.folder / "elsewhere")
    owner.types("cf-caption --root coco=elsewhere")
    assert "error" not in owner.types("cf-build-manifest --verify full")
