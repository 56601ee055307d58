"""Held-out generators share no real image and no caption with training, whatever the prompts and the catalogue are."""

import hashlib
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.prompt import Prompt
from crawler.catalog import CatalogEntry
from samplers.assignment.pending import find_pending
from samplers.options import SampleOptions
from samplers.planning.prompting import PromptPool
from samplers.planning.recipe import Recipe
from samplers.planning.reservation import Reservation
from samplers.planning.reserved_prompts import require_enough
from tests.records import catalog_entry, prompt
from tests.samplers.inputs import write_catalog
from tests.samplers.plans import plan_of
from workspace import records
from workspace.errors import UsageError
from workspace.identity import reserved_place
from workspace.layout import Workspace, part_name
from workspace.recipe import pin

ROLES: dict[str, Any] = {"train": {}, "validation": {"architecture": "GAN"}, "test": {"lineage": ("org/base",)}}
GENERATORS = {split: catalog_entry(f"org/{split}", **changes) for split, changes in ROLES.items()}
HELD = {"holdout": ["family=org/base"], "validation": ["architecture=GAN"]}


def recipe(**changes: Any) -> Recipe:
    values = {"images": 8, "batch_size": 2, "max_tries": 24, "seed": 0, "steps": None, "prompts": None}
    return Recipe(
        **{**values, "safety_checker": "org/checker@" + "b" * 40, "evaluation_prompts": 0.3, **HELD, **changes}
    )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def photos(count: int, source: str = "photos", **changes: Any) -> list[Prompt]:
    return [
        prompt(source, number, f"{source} {number}", real_sha256=_sha256(f"{source} {number}"), **changes)
        for number in range(count)
    ]


def drawn(prompts: list[Prompt], wanted: Recipe) -> dict[str, list[Prompt]]:
    """The prompts of each of the generators."""
    pool = PromptPool(prompts, wanted.source_weights, wanted.reservation)
    by_id = {one.prompt_id: one for one in prompts}
    return {
        name: [by_id[each.prompt_id] for each in plan_of(entry, pool, wanted).samples if each.prompt_id]
        for name, entry in GENERATORS.items()
    }


IMAGES = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 30) | st.none(), st.sampled_from([None, 0.0, 0.5, 1.0, 3.0])),
    min_size=1,
    max_size=60,
)


@given(IMAGES, st.sampled_from([0.05, 0.2, 0.45]), st.integers(1, 3))
def test_no_two_splits_share_a_real_image_or_a_text_in_any_workspace(
    images: list[tuple[int, int | None, float | None]], share: float, images_per_prompt: int
) -> None:
    """Images with several captions, equal files, equal texts, and prompts without an image."""
    prompts = [
        prompt("ab"[number % 2], number, f"text {text}", real_sha256=None if file is None else f"{file:064}", weight=w)
        for number, (text, file, w) in enumerate(images)
    ]
    try:
        by_split = drawn(prompts, recipe(evaluation_prompts=share, images_per_prompt=images_per_prompt))
    except UsageError:  # every prompt has weight 0
        assert all(w == 0 for _, _, w in images)
        return
    for one, other in (("train", "test"), ("train", "validation"), ("validation", "test")):
        for fact in ("prompt", "real_sha256"):
            mine, its = ({getattr(each, fact) for each in by_split[name]} - {None} for name in (one, other))
            assert mine.isdisjoint(its)
    assert all(each.weight != 0 for split in by_split.values() for each in split)


def test_each_split_draws_its_own_share_of_the_prompts() -> None:
    pool = PromptPool(photos(2000), reservation=recipe(evaluation_prompts=0.1).reservation)
    sizes = {split: pool.sizes(split)["photos"] for split in ("train", "validation", "test")}
    assert sum(sizes.values()) == pool.size == 2000
    assert 160 < sizes["test"] < 240
    assert 160 < sizes["validation"] < 240
    assert len({each.prompt for each in islice(pool.draw("x", "test"), sizes["test"])}) == sizes["test"]


def test_only_splits_that_are_held_out_take_prompts_from_training() -> None:
    only = recipe(evaluation_prompts=0.1, validation=None).reservation
    pool = PromptPool(photos(500), reservation=only)
    assert pool.sizes("validation") == {"photos": 0}
    both = PromptPool(photos(500), reservation=recipe(evaluation_prompts=0.1).reservation)
    assert pool.sizes("test") == both.sizes("test")


def test_the_place_of_an_image_is_the_same_in_every_release() -> None:
    assert reserved_place("a" * 64) == 0.8428114256370879
    places = [reserved_place(str(number)) for number in range(1000)]
    assert 0 <= min(places) < 0.01 < 0.99 < max(places) < 1


def test_other_prompts_do_not_move_a_prompt_to_another_split() -> None:
    wanted = recipe().reservation
    few, many = photos(40), photos(400)
    assert [wanted.split_of_prompt(one) for one in few] == [wanted.split_of_prompt(one) for one in many[:40]]


def test_without_a_reservation_the_prompts_are_those_of_before() -> None:
    none = recipe(evaluation_prompts=0.0, holdout=None, validation=None)
    plain = PromptPool(photos(50))
    for entry in GENERATORS.values():
        planned = [each.prompt_id for each in plan_of(entry, plain, none).samples]
        assert planned == [each.prompt_id for each in islice(plain.draw(entry.model_name), 24)]
    assert PromptPool(photos(50), reservation=none.reservation).digest == plain.digest


def test_the_digest_of_reserved_prompts_changes_with_a_real_image() -> None:
    one, other = photos(3), photos(3)
    other[1] = prompt("photos", 1, "photos 1", real_sha256="f" * 64)
    assert PromptPool(one).digest == PromptPool(other).digest
    wanted = recipe().reservation
    assert PromptPool(one, reservation=wanted).digest != PromptPool(other, reservation=wanted).digest


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    space = Workspace.open(tmp_path)
    write_catalog(space, [*GENERATORS.values(), catalog_entry("org/second")])
    records.write(space.prompts_of("photos") / part_name(0), Prompt, photos(60))
    return space


def options(**changes: Any) -> SampleOptions:
    values = {"images": 4, "safety_checker": "org/checker@" + "0" * 40, "device": "cpu"}
    return SampleOptions(**{**values, **changes})


def test_the_reservation_is_in_the_recipe_and_read_from_it_again(workspace: Workspace) -> None:
    given = options(
        evaluation_prompts=0.2, holdout=("name=org/test", "family=org/base"), validation=("name=org/second",)
    )
    wanted = find_pending(workspace, given).recipe
    pin(workspace, "sample", wanted.table())
    assert Reservation.of(workspace) == wanted.reservation
    assert list(map(str, wanted.reservation.holdouts.test)) == ["family=org/base", "name=org/test"]
    again = options(
        evaluation_prompts=0.2, holdout=("family=org/base", "name=org/test"), validation=("name=org/second",)
    )
    pin(workspace, "sample", find_pending(workspace, again).recipe.table())
    with pytest.raises(UsageError, match=r"holdout was .*; validation was .*, now unset\."):
        find_pending(workspace, options(evaluation_prompts=0.2, holdout=("name=org/test",)))
    with pytest.raises(UsageError, match=r"--holdout is .*: it is the same in all rounds"):
        find_pending(workspace, options(evaluation_prompts=0.2, holdout=("name=org/test",), update=True))


def test_a_workspace_that_was_not_sampled_has_no_reservation(tmp_path: Path) -> None:
    assert Reservation.of(Workspace.open(tmp_path)) == Reservation()


def test_a_holdout_that_the_catalogue_does_not_have_is_refused(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="--validation name=org/tset: the catalogue has no such generator"):
        find_pending(workspace, options(evaluation_prompts=0.1, validation=("name=org/tset",)))


def test_holding_out_without_reserving_is_refused_with_what_it_would_cost(workspace: Workspace) -> None:
    with pytest.raises(
        UsageError, match=r"would leave out about [1-9]\d* of 12 training images.*--evaluation-prompts 0"
    ):
        find_pending(workspace, options(holdout=("family=org/base",)))
    write_catalog(workspace, [catalog_entry("org/dream", task="unconditional", architecture="GAN"), catalog_entry()])
    # It takes no captions, so nothing is lost.
    assert find_pending(workspace, options(holdout=("architecture=GAN",))).recipe.holdout == ["architecture=GAN"]


def enough(entries: list[CatalogEntry], prompts: list[Prompt], wanted: Recipe) -> list[str]:
    return require_enough(entries, PromptPool(prompts, wanted.source_weights, wanted.reservation), wanted)


def test_a_source_with_too_few_reserved_prompts_is_told_in_a_line() -> None:
    prompts = [*photos(400), *photos(40, "art")]
    assert enough(list(GENERATORS.values()), prompts, recipe()) == []
    [test, validation] = enough(list(GENERATORS.values()), prompts, recipe(images=100))
    assert test.startswith("art: ")
    assert " of 40 prompts are reserved for " in test
    assert "whose generators each need 50 of them for 100 images" in test
    assert {line.split("reserved for ")[1].split(",")[0] for line in (test, validation)} == {"test", "validation"}
    assert enough(list(GENERATORS.values()), prompts, recipe(images=100, images_per_prompt=10)) == []
    # A source that is never drawn needs nothing.
    assert enough(list(GENERATORS.values()), prompts, recipe(images=100, source_weights={"art": 0.0})) == []


def test_a_source_without_a_reserved_prompt_is_refused() -> None:
    prompts = [*photos(400), *photos(1, "art")]
    with pytest.raises(
        UsageError, match=r"leaves no prompt of art \(of 1\) for the generators of \w+.*--source-weight art=0"
    ):
        enough(list(GENERATORS.values()), prompts, recipe())
    dreaming = [catalog_entry("org/dream", task="unconditional", architecture="GAN")]
    assert enough(dreaming, prompts, recipe()) == []
