"""Real images beside the prompted ones: as many as generated ones, in each split, by their sha256 alone."""

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.prompt import Prompt
from manifests.building import Built, build
from manifests.joining.further_images import apportion, choose
from manifests.manifest import REAL, ManifestRow, manifest_path
from manifests.options import BuildOptions
from manifests.tables.withheld import WithheldRow, withheld_path
from tests.manifests.making import Builder, rows_of
from tests.scale import scaled
from workspace import records
from workspace.errors import UsageError
from workspace.identity import reserved_place
from workspace.layout import Workspace, part_name


def real_of(workspace: Workspace) -> list[ManifestRow]:
    return [row for row in rows_of(workspace) if row.label == REAL]


def numbers(workspace: Workspace) -> dict[tuple[str | None, int], int]:
    """How many rows each split has of each label."""
    return dict(Counter((row.split, row.label) for row in rows_of(workspace)))


def campaign(builder: Builder, further: int = 20) -> Builder:
    """Two unrelated generators, of which each made six images of two photographs and one painting, beside which there
    are others of both sources, and of a third one that nobody used."""
    photos = [builder.real("photos", number) for number in range(2 + 2 * further)]
    paintings = [builder.real("paintings", number) for number in range(1 + further)]
    for number in range(further):
        builder.real("unused", number)
    for name in ("org/one", "org/two"):
        generator = builder.generator(name, lineage=(), base_model=None)
        for prompt in (*photos[:2], *paintings[:1]) * 2:
            builder.sample(generator, prompt)
    return builder


def said(built: Built, text: str) -> list[str]:
    return [line for line in built.lines() if text in line]


def test_there_are_as_many_real_images_as_generated_ones_from_the_sources_of_the_prompts(builder: Builder) -> None:
    workspace = campaign(builder).write()
    built = build(workspace)
    real = real_of(workspace)
    assert (built.kept, built.real) == (12, 12)
    # Two photographs and one painting were prompts: of nine further images, six are photographs.
    assert Counter((row.real_source, row.prompted) for row in real) == {
        ("photos", True): 2,
        ("paintings", True): 1,
        ("photos", False): 6,
        ("paintings", False): 3,
    }
    assert len({row.sha256 for row in real}) == 12
    assert said(built, "beside the prompted ones") == [
        "9 real images beside the prompted ones (--real-per-generated 1)"
    ]
    assert not said(built, "fewer than")
    # The choice depends neither on the order nor on the parts of the prompts.
    chosen = manifest_path(workspace).read_bytes()
    for number, (source, prompts) in enumerate(builder.prompts.items()):
        shuffled = random.Random(number).sample(prompts, len(prompts))
        for part, first in enumerate(range(0, len(shuffled), 7)):
            records.write(workspace.prompts_of(source) / part_name(part), Prompt, shuffled[first : first + 7])
    build(workspace)
    assert manifest_path(workspace).read_bytes() == chosen


def test_the_ratio_is_that_of_the_option_and_a_larger_one_keeps_the_images_of_a_smaller_one(builder: Builder) -> None:
    workspace = campaign(builder).write()
    before: set[str] = set()
    for asked, real in scaled(
        [(0, 3), (0.6, 8), (2.5, 30)], [(0, 3), (0.1, 3), (0.5, 6), (0.6, 8), (1, 12), (2.5, 30)]
    ):
        assert build(workspace, BuildOptions(real_per_generated=asked)).real == real
        rows = real_of(workspace)
        assert sum(row.prompted is True for row in rows) == 3
        chosen = {row.sha256 for row in rows}
        assert before <= chosen
        before = chosen


def test_too_few_images_are_all_taken_and_the_missing_ones_are_counted_with_what_to_do(builder: Builder) -> None:
    built = build(campaign(builder, further=2).write())
    assert built.real == 3 + 6
    (line,) = said(built, "fewer than")
    assert line == (
        "3 real images fewer than --real-per-generated 1 asks for (3 of train): caption more images of the same "
        "sources (`cf-caption --update` with a larger --limit), or ask for less"
    )


def test_no_caption_of_a_further_image_is_in_two_splits(builder: Builder) -> None:
    """Captions are often alike: ten photographs of each caption, of which training had one, the evaluation another."""
    photos = [builder.real("photos", number, prompt=f"a photograph of thing {number % 12}") for number in range(120)]
    for number, name in enumerate(("org/one", "org/held")):
        generator = builder.generator(name, lineage=(), base_model=None)
        for _ in range(8):
            builder.sample(generator, photos[number])
    workspace = builder.write()
    build(workspace, BuildOptions(holdout=("name=org/held",)))
    assert numbers(workspace) == {("train", 1): 8, ("test", 1): 8, ("train", 0): 8, ("test", 0): 8}
    captions = {split: {row.prompt for row in rows_of(workspace) if row.split == split} for split in ("train", "test")}
    assert captions["train"].isdisjoint(captions["test"])


def test_images_of_an_evaluation_set_come_from_the_captions_that_are_reserved_for_it(builder: Builder) -> None:
    photos = [builder.real("photos", number) for number in range(200)]
    places = sorted(reserved_place(photo.real_sha256 or "") for photo in photos)
    for number, name in enumerate(("org/one", "org/two", "org/held", "org/judged")):
        generator = builder.generator(name, lineage=(), base_model=None)
        for _ in range(9):
            builder.sample(generator, photos[number])
    workspace = builder.write()
    build(workspace, BuildOptions(holdout=("name=org/held",), validation=("name=org/judged",)))
    # Each split has its ratio, and no image of another.
    images = {"train": 18, "test": 9, "validation": 9}
    assert numbers(workspace) == {(split, label): number for split, number in images.items() for label in (0, 1)}
    assert len({row.sha256 for row in real_of(workspace)}) == 36
    further = [row for row in real_of(workspace) if not row.prompted]
    assert max(reserved_place(row.sha256) for row in further if row.split == "test") <= places[12]
    assert min(reserved_place(row.sha256) for row in further if row.split == "validation") >= places[-12]


def test_a_generator_without_prompts_gets_real_images_of_all_sources(builder: Builder) -> None:
    dreamer = builder.generator("org/dreamer", task="unconditional")
    for number in range(10):
        builder.real("photos", number)
        builder.real("paintings", number)
    for _ in range(4):
        builder.sample(dreamer, None)
    workspace = builder.write()
    build(workspace)
    assert Counter((row.real_source, row.prompted) for row in real_of(workspace)) == {
        ("photos", False): 2,
        ("paintings", False): 2,
    }


def test_a_public_edition_lists_the_further_images_that_may_not_be_passed_on(builder: Builder) -> None:
    campaign(builder)
    builder.prompts["photos"] = [replace(prompt, redistributable=False) for prompt in builder.prompts["photos"]]
    workspace = builder.write()
    built = build(workspace, BuildOptions(edition="public"))
    listed = records.read(withheld_path(workspace), WithheldRow)
    assert Counter((row.real_source, row.prompted) for row in listed) == {("photos", True): 2, ("photos", False): 6}
    assert Counter((row.real_source, row.prompted) for row in real_of(workspace)) == {
        ("paintings", True): 1,
        ("paintings", False): 3,
    }
    assert (built.real, built.withheld, built.real_images.further) == (4, 8, 9)


@pytest.mark.parametrize("ratio", [-1.0, float("nan"), float("inf")])
def test_a_ratio_that_is_none_is_refused(ratio: float) -> None:
    with pytest.raises(UsageError, match=r"--real-per-generated .*must be a number such as 1, or 0 for none"):
        BuildOptions(real_per_generated=ratio)


POOLS = st.tuples(
    st.lists(st.integers(0, 3), max_size=60),
    st.lists(st.integers(0, 9), min_size=4, max_size=4),
    st.lists(st.integers(0, 30), min_size=3, max_size=3),
)


@given(POOLS)
def test_of_any_pool_each_split_gets_what_it_wants_or_its_share_of_what_is_there(
    drawn: tuple[list[int], list[int], list[int]],
) -> None:
    source, weight, wanted = (np.array(values, np.int64) for values in drawn)
    chosen = choose(source, np.full(source.size, -1), weight, wanted)
    usable = int((weight[source] > 0).sum())
    got = np.array([(chosen == code).sum() for code in range(3)])
    assert all(weight[source[chosen >= 0]] > 0)
    assert got.sum() == min(usable, wanted.sum())
    share = min(1, usable / max(1, wanted.sum()))
    assert all(got <= wanted)
    assert all(got > wanted * share - 1 - 1e-9)


@given(st.lists(st.integers(-1, 2), max_size=60), st.lists(st.integers(0, 30), min_size=3, max_size=3))
def test_an_image_whose_caption_a_split_has_is_in_no_other_split(bound: list[int], wanted: list[int]) -> None:
    source = np.zeros(len(bound), np.int64)
    chosen = choose(source, np.array(bound, np.int64), np.ones(1, np.int64), np.array(wanted))
    assert all(
        split in (-1, split_of_caption) or split_of_caption == -1
        for split, split_of_caption in zip(chosen, bound, strict=True)
    )


@given(st.integers(0, 200), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 50)), min_size=1, max_size=6))
def test_any_number_is_divided_in_proportion_as_far_as_each_source_reaches(
    number: int, sources: list[tuple[int, int]]
) -> None:
    weight, there = (np.array(values) for values in zip(*sources, strict=True))
    parts = apportion(number, weight, there)
    assert all(parts <= there)
    assert not parts[weight == 0].any()
    assert parts.sum() == min(number, there[weight > 0].sum())
    if all(there >= number) and weight.sum():
        assert all(abs(parts - number * weight / weight.sum()) < 1)


def test_real_images_that_a_later_round_adds_alone_fill_what_was_missing(builder: Builder) -> None:
    painter = builder.generator("org/painter")
    photo = builder.real("photos", 0)
    for number in range(3):
        builder.sample(painter, photo, seed=number)
    assert build(builder.write()).real_images.missing == {"train": 2}
    for number in range(1, 6):
        builder.real("photos", number, round=2)
    built = build(builder.write())
    assert built.real_images.missing == {}
    assert [(row.round, row.prompted) for row in rows_of(builder.workspace) if not row.label].count((2, False)) == 2
