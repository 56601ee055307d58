from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.catalog import CatalogEntry, ModelFile
from crawler.holdout import Holdouts, parse_holdouts
from manifests.options import Kin
from manifests.splits import assign_splits
from tests.manifests.making import entry
from workspace.errors import UsageError


def generator(name: str, *ancestors: str, weights: str | None = None, **changes: object) -> CatalogEntry:
    files = (ModelFile(path="unet/model.safetensors", size=1, sha256=weights),) if weights else ()
    base = ancestors[0] if ancestors else None
    return entry(name, 1, base_model=base, lineage=ancestors, files=files, **changes)


def divided(
    catalog: Sequence[CatalogEntry],
    *holdouts: str,
    validation: Sequence[str] = (),
    equal: Sequence[set[str]] = (),
    kin: Kin = "separate",
) -> dict[str, str | None]:
    wanted = Holdouts.parse(holdouts, validation)
    return {**assign_splits(catalog, {one.model_name for one in catalog}, wanted, equal, kin)}


def test_without_a_holdout_everything_trains() -> None:
    assert divided([generator("a"), generator("b", "a")]) == {"a": "train", "b": "train"}


def test_a_generator_held_out_by_name_is_in_test_and_related_ones_are_in_neither() -> None:
    catalog = [
        generator("base"),
        generator("held", "base"),
        generator("child", "held", "base"),
        generator("sister", "base"),
        generator("stranger"),
        generator("other", "far"),
    ]
    assert divided(catalog, "name=held") == {
        "base": None,
        "held": "test",
        "child": None,
        "sister": None,
        "stranger": "train",
        "other": "train",
    }


def test_a_common_ancestor_counts_even_when_it_is_not_in_the_catalogue() -> None:
    assert divided([generator("a", "lost"), generator("b", "mid", "lost")], "name=a") == {"a": "test", "b": None}


def test_a_common_descendant_does_not_make_generators_related() -> None:
    catalog = [generator("a"), generator("b"), generator("merge", "a", "b")]
    assert divided(catalog, "name=a") == {"a": "test", "b": "train", "merge": None}


def test_a_family_is_the_base_model_and_all_its_descendants() -> None:
    catalog = [generator("base"), generator("b", "base"), generator("c", "b", "base"), generator("d")]
    assert divided(catalog, "family=base") == {"base": "test", "b": "test", "c": "test", "d": "train"}
    assert divided(catalog[1:], "family=base") == {"b": "test", "c": "test", "d": "train"}


def test_all_generators_of_an_architecture_are_held_out() -> None:
    catalog = [generator("a", architecture="GAN"), generator("b", "x"), generator("c", "x", architecture="GAN")]
    assert divided(catalog, "architecture=GAN") == {"a": "test", "b": None, "c": "test"}


def test_a_date_holds_out_new_generators_and_excludes_new_ones_related_to_old_ones() -> None:
    catalog = [
        generator("old", created_at="2023-05-01T00:00:00.000Z"),
        generator("retrained", "old", created_at="2026-02-01T00:00:00.000Z"),
        generator("new", created_at="2026-01-02T00:00:00.000Z"),
        generator("newer", "new", created_at="2026-03-01T00:00:00.000Z"),
        generator("that-day", created_at="2026-01-01T23:59:59.000Z"),
        generator("undated"),
    ]
    assert divided(catalog, "after=2026-01-01") == {
        "old": "train",
        "retrained": None,
        "new": "test",
        "newer": "test",
        "that-day": "train",
        "undated": "train",
    }


def test_a_date_yields_to_training_but_not_to_generators_held_out_by_name() -> None:
    old, new = (
        generator("old", created_at="2023-05-01T00:00:00Z"),
        generator("new", "old", created_at="2026-02-01T00:00:00Z"),
    )
    assert divided([old, new], "after=2026-01-01", "name=old") == {"old": "test", "new": "test"}


def test_generators_with_equal_denoiser_weights_count_as_one() -> None:
    catalog = [
        generator("origin", weights="f" * 64),
        generator("copy", weights="f" * 64),
        generator("tuned", "origin", weights="a" * 64),
        generator("apart", weights="b" * 64),
    ]
    assert divided(catalog, "name=copy") == {"origin": None, "copy": "test", "tuned": None, "apart": "train"}


def test_denoisers_without_a_known_sha256_are_not_equal() -> None:
    unknown = ModelFile(path="unet/model.safetensors", size=1, sha256=None)
    catalog = [entry(name, 1, base_model=None, lineage=(), files=(unknown,)) for name in ("a", "b")]
    assert divided(catalog, "name=a") == {"a": "test", "b": "train"}


def test_generators_that_are_equal_through_a_third_one_are_one() -> None:
    catalog = [generator(name) for name in ("a", "b", "c", "d")]
    assert divided(catalog, "name=b", equal=[{"b", "c"}, {"a", "c"}]) == {
        "a": None,
        "b": "test",
        "c": None,
        "d": "train",
    }


def test_the_ancestors_of_a_copy_are_those_of_its_original() -> None:
    """What was tuned from the one descends from the ancestors of the other."""
    catalog = [
        generator("a", "far", weights="f" * 64),
        generator("b", weights="f" * 64),
        generator("tuned", "b"),
        generator("held", "far"),
    ]
    assert divided(catalog, "name=held") == {"a": None, "b": None, "tuned": None, "held": "test"}


def test_an_equal_vae_does_not_make_generators_related() -> None:
    vae = ModelFile(path="vae/diffusion_pytorch_model.safetensors", size=1, sha256="c" * 64)
    catalog = [entry(name, 1, base_model=None, lineage=(), files=(vae,)) for name in ("a", "b")]
    assert divided(catalog, "name=a") == {"a": "test", "b": "train"}


def test_generators_of_the_same_image_count_as_one() -> None:
    catalog = [generator("a"), generator("b"), generator("c", "b")]
    assert divided(catalog, "name=a", equal=[{"a", "b"}]) == {"a": "test", "b": None, "c": None}


def test_a_generator_outside_of_the_dataset_has_no_split_but_counts_as_an_ancestor() -> None:
    catalog = [
        generator("old", created_at="2020-01-01T00:00:00Z", weights="f" * 64),
        generator("copy", "root", created_at="2020-01-01T00:00:00Z", weights="f" * 64),
        generator("new", "old", created_at="2026-01-01T00:00:00Z"),
        generator("trainer", "root"),
    ]
    holdouts = Holdouts.parse(["after=2025-01-01"])
    assert assign_splits(catalog, {"new"}, holdouts) == {"new": "test"}
    assert assign_splits(catalog, {"new", "trainer"}, holdouts) == {"new": None, "trainer": "train"}


def test_validation_is_a_split_of_its_own_and_takes_its_relatives_out_of_training() -> None:
    catalog = [generator("a", "base"), generator("b", "base"), generator("c"), generator("d")]
    assert divided(catalog, "name=c", validation=["name=a"]) == {
        "a": "validation",
        "b": None,
        "c": "test",
        "d": "train",
    }


def test_of_two_relatives_the_one_for_validation_yields_to_the_one_for_test() -> None:
    catalog = [generator("a", "base"), generator("b", "base"), generator("b2"), generator("c", "b2")]
    assert divided(catalog, "name=a", validation=["name=b", "name=b2"]) == {
        "a": "test",
        "b": None,
        "b2": "validation",
        "c": None,
    }


def test_a_generator_that_both_name_is_for_test_but_a_date_yields_to_a_name() -> None:
    new = [generator(name, created_at="2026-02-01T00:00:00Z") for name in ("a", "b")]
    assert divided(new, "family=a", validation=["name=a", "name=b"]) == {"a": "test", "b": "validation"}
    assert divided(new, "after=2026-01-01", validation=["name=a"]) == {"a": "validation", "b": "test"}


def test_dates_make_a_past_a_present_and_a_future() -> None:
    years = [generator(f"y{year}", created_at=f"{year}-06-01T00:00:00Z") for year in (2023, 2024, 2025)]
    tuned = generator("tuned", "y2024", created_at="2025-07-01T00:00:00Z")
    split = divided([*years, tuned], "after=2025-01-01", validation=["after=2024-01-01"])
    # Of two new relatives the newest is evaluated.
    assert split == {"y2023": "train", "y2024": None, "y2025": "test", "tuned": "test"}


def test_with_kin_ignored_only_the_named_generators_are_held_out_as_in_the_study() -> None:
    catalog = [
        generator("base"),
        generator("held", "base", weights="f" * 64),
        generator("copy", weights="f" * 64),
        generator("val", "held"),
        generator("new", "base", created_at="2026-02-01T00:00:00Z"),
    ]
    split = divided(
        catalog, "name=held", "after=2026-01-01", validation=["name=val"], equal=[{"base", "held"}], kin="ignore"
    )
    assert split == {"base": "train", "held": "test", "copy": "train", "val": "validation", "new": "test"}


NAMES = [f"g{number}" for number in range(8)]
GENERATORS = st.lists(
    st.builds(
        lambda name, ancestors, weights, year: generator(
            name, *ancestors, weights=weights, created_at=f"{year}-06-01T00:00:00Z"
        ),
        st.sampled_from(NAMES),
        st.lists(st.sampled_from([*NAMES, "lost", "far"]), max_size=3, unique=True),
        st.sampled_from([None, None, "a" * 64, "b" * 64]),
        st.integers(2020, 2026),
    ),
    unique_by=lambda one: one.model_name,
    min_size=1,
)


@given(GENERATORS, st.integers(2019, 2026), st.integers(2019, 2026), st.sampled_from(["", "name", "family"]))
def test_in_any_catalogue_no_two_splits_share_an_ancestor(
    catalog: list[CatalogEntry], year: int, validated: int, named: str
) -> None:
    def after(day: int) -> list[str]:
        new = any(one.created_at > f"{day}-12-31T99" for one in catalog if one.created_at)
        return [f"after={day}-12-31"] if new else []

    holdouts, validation = after(year), after(validated)
    if named:
        holdouts.append(f"name={catalog[-1].model_name}")
        validation.append(f"{named}={catalog[0].model_name}")
    split = divided(catalog, *holdouts, validation=validation)
    assert split == divided(list(reversed(catalog)), *holdouts, validation=validation)
    assert not named or split[catalog[-1].model_name] == "test"

    def names(side: str) -> set[str]:
        return {
            name
            for one in catalog
            if split[one.model_name] == side
            for name in (one.model_name, *one.lineage, *(file.sha256 or "" for file in one.files))
        }

    assert names("test").isdisjoint(names("train") | names("validation"))
    assert names("validation").isdisjoint(names("train"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("org/model", "must be name="),
        ("colour=red", "must be name="),
        ("name=", "must be name="),
        ("architecture=Latent", "LatDiff, PixDiff, GAN, Other"),
        ("after=soon", "is not a date"),
        ("after=20260131", "is not a date"),
        ("after=2026-02-30", "is not a date"),
    ],
)
def test_an_invalid_holdout_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_holdouts([text])


def test_a_holdout_that_covers_no_generator_is_refused() -> None:
    with pytest.raises(UsageError, match="--holdout name=org/typo: the catalogue has no such generator"):
        divided([generator("a")], "name=org/typo")
    with pytest.raises(UsageError, match="--validation family=org/typo: the catalogue has no such generator"):
        divided([generator("a")], "name=a", validation=["family=org/typo"])
