"""Which rows are for training, validation and evaluation, and which are in no split."""

import re
from collections.abc import Iterable

import pytest

from manifests.building import build
from manifests.choices import read_choices
from manifests.manifest import manifest_path
from manifests.options import BuildOptions
from manifests.tables.generators import read_generators
from tests.manifests.making import Builder, rows_of
from workspace.errors import UsageError
from workspace.layout import Workspace


def _without_sets(lines: Iterable[str]) -> list[str]:
    """The lines of a build but those about its evaluation sets (`test_evaluation_sets.py`)."""
    return [line for line in lines if not line.startswith(("PublicEval: ", "comprehensive: "))]


def held_out(builder: Builder) -> Workspace:
    """Two families with prompts from the same two real images, one of which is in two data sets."""
    related, other = (builder.generator(name, lineage=("org/base",)) for name in ("org/one", "org/two"))
    held = builder.generator("org/held", lineage=(), base_model=None)
    photos = [builder.real("photos", number) for number in range(4)]
    copy = builder.real(
        "copies", 9, real_sha256=photos[1].real_sha256, real_path=photos[1].real_path, real_id="elsewhere/1.png"
    )
    for generator in (related, other):
        for photo in (photos[0], copy, photos[2]):
            builder.sample(generator, photo)
    for photo in (photos[0], photos[1]):
        builder.sample(held, photo)
    builder.sample(held, photos[2], status="nsfw", nsfw_flag=True)
    return builder.write()


def test_a_holdout_shares_no_real_image_with_training(builder: Builder) -> None:
    workspace = held_out(builder)
    build(workspace, BuildOptions(holdout=("name=org/held",)))
    rows = rows_of(workspace)
    splits = {(row.model_name, row.index): row.split for row in rows if row.label == 1}
    assert splits == {
        ("org/held", 0): "test",
        ("org/held", 1): "test",
        ("org/one", 0): None,
        ("org/one", 1): None,  # the same photograph in another data set
        ("org/one", 2): "train",
        ("org/two", 0): None,
        ("org/two", 1): None,
        ("org/two", 2): "train",
    }
    real = {(row.real_source, row.real_id): row.split for row in rows if row.label == 0}
    assert real == {
        ("copies", "elsewhere/1.png"): "test",
        ("photos", "folder/0.png"): "test",
        ("photos", "folder/2.png"): "train",
        ("photos", "folder/3.png"): "train",  # training has two generated images, and one prompted one
    }
    generators = {row.model_name: row.split for row in read_generators(workspace)}
    assert generators == {"org/one": "train", "org/two": "train", "org/held": "test"}
    assert read_choices(manifest_path(workspace)).holdout == ("name=org/held",)


def test_generators_related_to_a_holdout_are_in_neither_split(builder: Builder) -> None:
    workspace = held_out(builder)
    build(workspace, BuildOptions(holdout=("name=org/one",)))
    assert {row.model_name: row.split for row in rows_of(workspace) if row.label == 1 and row.index == 2} == {
        "org/one": "test",
        "org/two": None,
    }


def test_an_image_of_two_generators_names_the_other_and_makes_them_one(builder: Builder) -> None:
    one, two = (builder.generator(name, lineage=(), base_model=None) for name in ("org/one", "org/two"))
    prompt = builder.real("photos", 1)
    content = builder.picture("the same", 0)
    builder.sample(one, prompt, content=content)
    builder.sample(one, prompt)
    builder.sample(two, prompt, content=content)
    workspace = builder.write()
    build(workspace)
    said = {(row.model_name, row.index): row.also_by for row in rows_of(workspace) if row.label == 1}
    assert said == {("org/one", 0): ("org/two",), ("org/one", 1): None, ("org/two", 0): ("org/one",)}
    build(workspace, BuildOptions(holdout=("name=org/two",)))
    assert {row.model_name: row.split for row in rows_of(workspace) if row.label == 1} == {
        "org/one": None,
        "org/two": "test",
    }


def test_no_two_splits_share_a_real_image_or_a_caption(builder: Builder) -> None:
    """What several have belongs to test before validation, and to both before train."""
    trained, validated, tested = (
        builder.generator(name, lineage=(), base_model=None) for name in ("org/train", "org/val", "org/test")
    )
    photos = {
        name: builder.real("photos", number) for number, name in enumerate(["tested", "both", "validated", "own"])
    }
    said_of_tested, said_of_tested_too, said_of_validated = (
        builder.real("others", number, prompt=photos[name].prompt)
        for number, name in enumerate(["tested", "tested", "validated"])
    )
    for generator, prompts in (
        (tested, [photos["tested"], photos["both"]]),
        (validated, [photos["both"], photos["validated"], said_of_tested]),
        (trained, [photos["validated"], photos["own"], said_of_tested_too, said_of_validated]),
    ):
        for prompt in prompts:
            builder.sample(generator, prompt)
    built = build(builder.write(), BuildOptions(holdout=("name=org/test",), validation=("name=org/val",)))
    rows = rows_of(builder.workspace)
    splits = {(row.model_name, row.index): row.split for row in rows if row.label == 1}
    assert splits == {
        ("org/test", 0): "test",
        ("org/test", 1): "test",
        ("org/train", 0): None,
        ("org/train", 1): "train",
        ("org/train", 2): None,
        ("org/train", 3): None,
        ("org/val", 0): None,
        ("org/val", 1): "validation",
        ("org/val", 2): None,
    }
    assert [(row.real_source, row.real_id[7:-4], row.split) for row in rows if row.label == 0] == [
        ("others", "0", None),
        ("others", "1", None),
        ("others", "2", None),
        ("photos", "0", "test"),
        ("photos", "1", "test"),
        ("photos", "2", "validation"),
        ("photos", "3", "train"),
    ]
    assert _without_sets(built.lines())[1:] == [
        "generators: 1 train, 1 validation, 1 test, 0 in neither",
        "images: 2 train, 2 validation, 4 test, 8 in neither",
        "in neither: 5 generated images whose caption, its real image or the same picture is in another split too "
        "(`cf-sample --evaluation-prompts 0.1 --holdout ...` reserves captions for generators that are held out)",
        "in neither: 3 real images, with all images that were made of the captions",
    ]


def test_with_kin_ignored_relatives_train_but_not_with_the_same_picture(builder: Builder) -> None:
    held, twin, kin = (builder.generator(name) for name in ("org/held", "org/twin", "org/kin"))
    first, second, third = (builder.real("photos", number) for number in range(3))
    content = builder.picture("the same", 0)
    builder.sample(held, first, content=content)
    builder.sample(twin, second, content=content)
    builder.sample(twin, second)
    builder.sample(kin, third)
    workspace = builder.write()
    built = build(workspace, BuildOptions(holdout=("name=org/held",)))
    assert "in neither: 3 generated images of 2 generators related to some of another split" in "".join(built.lines())
    build(workspace, BuildOptions(holdout=("name=org/held",), kin="ignore"))
    rows = rows_of(workspace)
    assert {(row.model_name, row.index): row.split for row in rows if row.label == 1} == {
        ("org/held", 0): "test",
        ("org/kin", 0): "train",
        ("org/twin", 0): None,
        ("org/twin", 1): "train",
    }
    assert read_choices(manifest_path(workspace)).kin == "ignore"


def test_a_holdout_that_leaves_its_split_without_an_image_is_refused_in_numbers(builder: Builder) -> None:
    tested, validated, other = (
        builder.generator(name, lineage=(), base_model=None) for name in ("org/test", "org/val", "org/other")
    )
    builder.generator("org/unsampled")
    shared, own = builder.real("photos", 0), builder.real("photos", 1)
    builder.sample(tested, shared)
    builder.sample(validated, shared)
    builder.sample(other, own)
    workspace = builder.write()
    build(workspace)
    before = manifest_path(workspace).read_bytes()
    for options, said in (
        (BuildOptions(holdout=("name=org/unsampled",)), "--holdout name=org/unsampled: test has no image"),
        (
            BuildOptions(holdout=("name=org/test",), validation=("name=org/val",)),
            "--validation name=org/val: validation has no image; in neither: 1 generated image whose caption",
        ),
    ):
        with pytest.raises(UsageError, match=re.escape(said)):
            build(workspace, options)
        assert manifest_path(workspace).read_bytes() == before


def test_a_split_without_real_or_without_generated_images_is_told(builder: Builder) -> None:
    dreamer = builder.generator("org/dreamer", task="unconditional", lineage=(), base_model=None)
    other = builder.generator("org/other", lineage=(), base_model=None)
    builder.sample(dreamer, None)
    builder.sample(other, builder.real("photos", 0))
    workspace = builder.write()
    built = build(workspace, BuildOptions(holdout=("name=org/dreamer",), real_per_generated=0))
    assert _without_sets(built.lines())[1:] == [
        "generators: 1 train, 1 test, 0 in neither",
        "images: 2 train, 1 test, 0 in neither",
        "test has no real image beside its 1 generated image",
    ]
    built = build(workspace, BuildOptions(holdout=("name=org/dreamer", "name=org/other")))
    assert "train has no image" in built.lines()


def test_a_duplicate_of_the_evaluation_set_takes_no_caption_from_training(builder: Builder) -> None:
    """The held out generator's second image is not in the manifest, so nothing leaks by its caption."""
    held, other = (builder.generator(name, lineage=(), base_model=None) for name in ("org/held", "org/other"))
    first, second = builder.real("photos", 1), builder.real("photos", 2)
    content = builder.picture("the same", 0)
    builder.sample(held, first, content=content)
    builder.sample(held, second, content=content)
    builder.sample(other, second)
    build(builder.write(), BuildOptions(holdout=("name=org/held",)))
    rows = rows_of(builder.workspace)
    assert {(row.model_name, row.real_id): row.split for row in rows} == {
        ("org/held", first.real_id): "test",
        ("org/other", second.real_id): "train",
        (None, first.real_id): "test",
        (None, second.real_id): "train",
    }
