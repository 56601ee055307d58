"""A dataset that is there grows."""

from collections.abc import Iterator

import pytest

from localhub.process import HubProcess
from localhub.store import Store
from tests.hubs import DATE
from tests.journeys.test_choosing import DDPM, DIT, IF
from tests.journeys.user import User
from tests.small_hub import GENERATORS, write_photographs


def test_i_am_told_which_option_adds_more_images(owner: User) -> None:
    said = owner.is_refused("cf-sample --images 3")
    assert "--update" in said


def test_i_want_more_images_of_each_generator(owner: User) -> None:
    before = owner.images
    owner.types("cf-sample --update --images 3")
    assert before.items() < owner.images.items()
    assert {name: len(owner.samples(name)) for name in GENERATORS} == dict.fromkeys(GENERATORS, 3)


def test_i_want_more_photographs(owner: User) -> None:
    before = {one.prompt_id: one for one in owner.prompts}
    write_photographs(owner.folder / "more", 2)
    for photograph in list((owner.folder / "more").iterdir()):
        photograph.with_suffix(".txt").write_text("another picture")
    owner.types("cf-caption --update --source more=more")
    after = {one.prompt_id: one for one in owner.prompts}
    assert before.items() < after.items()
    assert len(after) == len(before) + 2


def test_i_want_another_set_of_prompts(owner: User) -> None:
    (owner.folder / "mine.txt").write_text("the digit four\n")
    before = owner.images
    owner.types("cf-caption --update --prompts mine.txt")
    owner.types("cf-sample --update --images 4 --source-weight coco=0")
    assert before.items() < owner.images.items()
    assert owner.samples(IF)[-1].prompt == "the digit four"


def test_i_want_more_of_one_generator_only(owner: User) -> None:
    (owner.folder / "settings.toml").write_text(f'["{DIT}"]\nimages = 4\n')
    owner.types("cf-sample --update --images 2 --settings settings.toml")
    assert [len(owner.samples(name)) for name in (IF, DDPM, DIT)] == [2, 2, 4]


@pytest.fixture
def newer(hub: HubProcess) -> Iterator[str]:
    """A generator that appears on the Hub after the first crawl."""
    store, name = Store(hub.directory), "inkwell/newer-digits"
    former = store.commit_of(store.repo("model", DIT))
    store.create("model", name, downloads=50_000)
    files = {path: store.blobs.path(file.sha256) for path, file in former.files.items()}
    store.commit("model", name, add=files, message="Upload", date=DATE)
    yield name
    store.delete("model", name)


def test_i_want_the_generators_that_have_appeared_since(owner: User, newer: str) -> None:
    before = owner.images
    owner.types("cf-crawl --update --limit 50")
    owner.types("cf-sample --images 2")
    assert before.items() < owner.images.items()
    assert len(owner.samples(newer)) == 2


def test_i_want_to_see_what_each_round_added(owner: User) -> None:
    owner.types(f"cf-sample --update --images 3 --only {DDPM}")
    said = owner.types("cf-status --rounds")
    assert "round" in said.lower()
