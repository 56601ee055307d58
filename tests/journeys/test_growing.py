"""A dataset that is there grows."""

from collections.abc import Iterator

import pytest

from localhub.process import HubProcess
from localhub.store import Store
from tests.hubs import DATE
from tests.journeys.test_choosing import DDPM, DIT, IF
from tests.journeys.user import User
from tests.scale import weekly
from tests.small_hub import GENERATORS, write_photographs


def test_i_am_told_which_option_adds_more_images(owner: User) -> None:
    said = owner.is_refused("cf-sample --images 3")
    assert "--update" in said


@weekly(
    "samplers/assignment/test_rounds.py::test_five_rounds_are_the_same_one_after_the_other_and_in_one_go_on_other_shards_with_a_kill"
)
def test_i_want_more_images_of_each_generator(owner: User) -> None:
    before = owner.images
    owner.types("cf-sample --update --images 3")
    owner.types("cf-build-manifest")
    assert before.items() < owner.images.items()
    made = [row["model_name"] for row in owner.manifest if row["model_name"]]
    assert {name: made.count(name) for name in GENERATORS} == dict.fromkeys(GENERATORS, 3)


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
    owner.types("cf-sample --update --images 4 --source-weight coco=0 --only inkwell/if-digits")
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
    rounds = [line.split()[:5] for line in said.partition("images owed")[2].splitlines()[1:]]
    assert rounds == [["1", "3", "3", "6", "6"], ["2", "0", "0", "3", "1"]]


@weekly("manifests/test_rounds.py::test_earlier_rounds_are_the_manifest_that_there_was")
def test_i_want_the_dataset_as_it_was_before_it_grew(owner: User) -> None:
    before = {(row["model_name"], row["sha256"]) for row in owner.manifest}
    owner.types(f"cf-sample --update --images 3 --only {DDPM}")
    owner.types("cf-build-manifest --rounds 1")
    assert {(row["model_name"], row["sha256"]) for row in owner.manifest} == before


@weekly("manifests/publishing/test_versions.py::test_a_former_round_still_reads_under_its_tag")
def test_i_want_readers_to_get_the_former_version_too(owner: User, hub: HubProcess) -> None:
    owner.types("cf-publish me/growing --tag first")
    owner.types(f"cf-build-manifest --holdout name={IF}")
    owner.types("cf-publish me/growing --tag second")
    store = Store(hub.directory)
    repo = store.repo("dataset", "me/growing")
    first, second, main = (store.commit_of(repo, revision) for revision in ("first", "second", "main"))
    assert first.files["SHA256SUMS"] != second.files["SHA256SUMS"]
    assert second.id == main.id
