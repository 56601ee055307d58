"""Who trains and who is tested: no kin group, real image or caption is on two sides, in any protocol."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detectors.data.index import Index
from detectors.data.sources.source import GeneratorFacts
from detectors.protocols.folds import Fold, folds
from detectors.protocols.generator_groups import validation_of
from detectors.protocols.leaks import find_leaks
from tests.detectors.worlds import MemorySource, generated, index_of, real
from workspace.errors import UsageError

PROTOCOLS = ("split", "generator:2", "generator:5", "architecture", "temporal:2", "source", "cross")
SPLITS = ("train", "validation", "test", None)
ARCHITECTURES = ("LatDiff", "PixDiff", "GAN", None)


@st.composite
def worlds(draw: st.DrawFn) -> Index:
    """Generators with kin, dates and architectures, whose images share captions and real images in any way."""
    reals = draw(st.integers(2, 12))
    photos = [
        real(
            number,
            draw(st.integers(1, 8)),
            real_source=draw(st.sampled_from("ab")),
            split=draw(st.sampled_from(SPLITS)),
        )
        for number in range(reals)
    ]
    sources = []
    facts: dict[str, GeneratorFacts] = {}
    for name in ("first", "second"):
        rows: list[Any] = [photo for photo in photos if draw(st.booleans())]
        for number in range(draw(st.integers(0, 6))):
            generator = f"{draw(st.sampled_from(('org', name)))}/{number}"
            kin = draw(st.sampled_from((None, "kin/a", "kin/b")))
            day = draw(st.sampled_from((None, "2023-01-02", "2024-05-06", "2025-01-01")))
            facts.setdefault(generator, GeneratorFacts(kin, day))
            architecture = draw(st.sampled_from(ARCHITECTURES))
            for image in range(draw(st.integers(1, 4))):
                photo = draw(st.none() | st.sampled_from(photos))
                rows.append(
                    generated(
                        generator,
                        image if draw(st.booleans()) else f"{name} {image}",
                        photo and photo["sha256"],
                        photo and (photo["prompt_key"] if draw(st.booleans()) else draw(st.integers(9, 12))),
                        real_source=photo and photo["real_source"],
                        architecture=architecture,
                        split=draw(st.sampled_from(SPLITS)),
                    )
                )
        sources.append(MemorySource(rows or [real("only", 99)], name, facts))
    return index_of(*sources)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(worlds(), st.sampled_from(PROTOCOLS), st.integers(0, 3), st.sampled_from(("exclude", "ignore")))
def test_no_part_shares_kin_a_real_image_or_a_caption_with_another(
    index: Index, protocol: str, seed: int, kin: Any
) -> None:
    try:
        made = list(folds(index, protocol, seed, kin))
    except UsageError:  # too few generators, sources or dates
        made = []
    for fold in made:
        assert find_leaks(index, fold, kin) == []
        parts = np.concatenate([fold.train, fold.validation, fold.test, fold.later, fold.seen])
        assert len(np.unique(parts)) == len(parts) == len(index) - fold.left_out


@pytest.fixture(scope="module")
def world() -> Index:
    """Twelve generators of three architectures and 24 captions, which all generators share."""
    photos = [real(number, 1 + number, real_source=f"s{number % 2}") for number in range(24)]
    facts = {f"g{n:02d}": GeneratorFacts(f"kin-{n // 2}", f"2024-{n + 1:02d}-01") for n in range(12)}
    rows = [
        generated(
            name, n, photos[n]["sha256"], 1 + n, real_source=f"s{n % 2}", architecture=ARCHITECTURES[int(name[1:]) % 3]
        )
        for name in facts
        for n in range(24)
    ]
    return index_of(MemorySource([*rows, *photos], facts=facts))


def generators(index: Index, rows: Any) -> set[str]:
    return set(index.table.column("generator").take(rows).to_pylist()) - {None}


def test_each_generator_is_tested_by_exactly_one_fold_that_did_not_see_it(world: Index) -> None:
    made = list(folds(world, "generator:3", seed=1))
    tested = [generators(world, fold.test) for fold in made]
    assert sorted(name for names in tested for name in names) == sorted(generators(world, np.arange(len(world))))
    for fold, names in zip(made, tested, strict=True):
        assert names.isdisjoint(generators(world, fold.train))
        assert generators(world, fold.validation).isdisjoint(names | generators(world, fold.train))
        for part in (fold.train, fold.validation, fold.test):
            assert set(world.labels[part].tolist()) == {0, 1}


def test_captions_that_all_generators_share_are_each_tested_in_one_fold(world: Index) -> None:
    prompts = world.numbers("prompt_key")
    tested = [prompts[fold.test] for fold in folds(world, "generator:3", seed=1)]
    assert sorted(np.concatenate([np.unique(one) for one in tested]).tolist()) == list(range(1, 25))


def test_each_architecture_is_tested_by_a_fold_that_did_not_see_it(world: Index) -> None:
    architectures = world.table.column("architecture")
    made = list(folds(world, "architecture", seed=0, kin="ignore"))
    assert [fold.name for fold in made] == ["GAN", "LatDiff", "PixDiff"]
    for fold in made:
        assert set(architectures.take(fold.test).to_pylist()) == {fold.name, "real"}
        assert fold.name not in architectures.take(np.concatenate([fold.train, fold.validation])).to_pylist()


def test_time_goes_forward_and_unseen_images_of_former_generators_are_apart(world: Index) -> None:
    made = list(folds(world, "temporal:4", seed=0))
    assert len(made) == 2
    days = world.table.column("created_at")

    def span(rows: Any) -> list[str]:
        return sorted(day for day in days.take(rows).to_pylist() if day)

    first = made[0]
    trained = np.concatenate([first.train, first.validation])
    assert span(trained)[-1] < span(first.test)[0]
    assert span(first.test)[-1] < span(first.later)[0]
    assert generators(world, first.seen) == generators(world, first.train)
    assert not set(first.seen.tolist()) & set(first.train.tolist())
    assert generators(world, made[1].train) > generators(world, first.train) - generators(world, made[1].validation)
    assert len(made[1].later) == 0


def test_of_generators_that_share_nothing_a_tenth_of_the_images_is_kept_for_the_past() -> None:
    facts = {f"g{g}": GeneratorFacts(created_at=f"2024-0{g + 1}-01") for g in range(4)}
    rows = [generated(f"g{g}", n) for g in range(4) for n in range(100)] + [real(n) for n in range(200)]
    index = index_of(MemorySource(rows, facts=facts))
    fold = folds(index, "temporal:2", 0)[0]
    trained = generators(index, fold.train)
    assert generators(index, fold.seen) == trained
    assert 3 <= len(fold.seen) / len(trained) <= 20
    assert find_leaks(index, fold) == []


def test_a_held_out_source_is_in_no_training_image_and_no_prompt(world: Index) -> None:
    sources = world.table.column("real_source")
    for fold in folds(world, "source", seed=0):
        assert set(sources.take(fold.test).to_pylist()) == {fold.name}
        assert fold.name not in sources.take(np.concatenate([fold.train, fold.validation])).to_pylist()


def test_across_datasets_all_of_the_others_is_tested_and_training_goes_without_what_they_share() -> None:
    shared = real("shared", 5)
    first = MemorySource(
        [
            shared,
            real(1, 1),
            real(2, 2),
            *(generated(f"g{n}", 0, prompt=5) for n in range(4)),
            *(generated(f"g{n}", 1, prompt=10 + n) for n in range(4)),
        ],
        "first",
    )
    second = MemorySource([shared, real(3, 3), generated("h", 0, prompt=5)], "second")
    index = index_of(first, second)
    (fold,) = folds(index, "cross", seed=0)
    assert set(index.table.column("dataset").take(fold.test).to_pylist()) == {"second"}
    assert len(fold.test) == 3
    assert 5 not in index.numbers("prompt_key")[np.concatenate([fold.train, fold.validation])]
    assert fold.left_out == 5


def test_the_seed_changes_who_is_where_and_the_same_seed_does_not(world: Index) -> None:
    first, again, other = (list(folds(world, "generator:3", seed)) for seed in (0, 0, 1))
    assert all((one.test == two.test).all() for one, two in zip(first, again, strict=True))
    assert any(
        len(one.test) != len(two.test) or (one.test != two.test).any() for one, two in zip(first, other, strict=True)
    )


def test_related_generators_leave_training_unless_kin_is_ignored() -> None:
    facts = {name: GeneratorFacts("base") for name in ("old", "new")}
    rows = [generated("old", n, split="train") for n in range(3)] + [
        generated("new", n, split="test") for n in range(3)
    ]
    rows += [generated("other", n, split="train") for n in range(3)]
    rows += [real(n, split=split) for n, split in enumerate(("train", "test"))]
    index = index_of(MemorySource(rows, facts=facts))
    (strict,), (loose,) = folds(index, "split", 0), folds(index, "split", 0, kin="ignore")
    assert generators(index, strict.train) == {"other"}
    assert strict.kin_left_out == 1
    assert generators(index, np.concatenate([loose.train, loose.validation])) == {"old", "other"}


def test_a_planted_leak_of_each_kind_is_found(world: Index) -> None:
    fold: Fold = folds(world, "generator:3", seed=1)[0]
    prompts, groups = world.numbers("prompt_key"), world.codes("kin")[0]
    fake = world.labels == 1
    tested = fold.test[fake[fold.test]][0]
    others = np.setdiff1d(np.arange(len(world)), np.concatenate([fold.train, fold.validation, fold.test]))
    same_prompt = others[(prompts[others] == prompts[tested]) & (groups[others] != groups[tested]) & fake[others]][:1]
    same_kin = others[(groups[others] == groups[tested]) & (prompts[others] != prompts[tested])][:1]
    for planted, said in ((fold.test[:1], "images"), (same_prompt, "1 prompts are"), (same_kin, "kin group")):
        assert len(planted)
        found = find_leaks(world, replace(fold, train=np.concatenate([fold.train, planted])))
        assert any(said in line for line in found), said


@pytest.mark.parametrize("protocol", ["", "folds", "generator", "generator:0", "generator:x", "temporal:", "split:2"])
def test_a_protocol_that_does_not_exist_is_refused_with_those_that_do(world: Index, protocol: str) -> None:
    with pytest.raises(UsageError, match="generator:K"):
        folds(world, protocol, seed=0)


@pytest.mark.parametrize("protocol", ["generator:7", "temporal:12", "cross", "split"])
def test_what_this_data_cannot_have_is_refused(world: Index, protocol: str) -> None:
    with pytest.raises(UsageError, match="--protocol"):
        folds(world, protocol, seed=0)


def related(*generators: tuple[str, str | None, str | None, str | None], images: int = 4) -> Index:
    """Generators as (name, kin, day, architecture) whose images share nothing, and photographs of two sources."""
    rows = [generated(name, number, architecture=kind) for name, _, _, kind in generators for number in range(images)]
    photos = [real(number, real_source="ab"[number % 2]) for number in range(12)]
    facts = {name: GeneratorFacts(kin, day) for name, kin, day, _ in generators}
    return index_of(MemorySource([*rows, *photos], facts=facts))


def generators_in(index: Index, *parts: np.ndarray) -> set[str]:
    codes, names = index.codes("generator")
    return {names[code] for code in codes[np.concatenate(parts)] if code >= 0}


def test_a_later_relative_of_what_trains_is_not_tested_as_new() -> None:
    days = ("2023-01-01", "2024-01-01", "2025-01-01", "2026-01-01")
    index = related(*zip("abcd", ("k", "b", "k", "d"), days, ("GAN",) * 4, strict=True))
    (fold,) = folds(index, "temporal:2", 0)
    assert generators_in(index, fold.train, fold.validation) == {"a", "b"}
    assert generators_in(index, fold.test) == {"d"}


def test_generators_of_unknown_architecture_are_in_no_part_of_the_protocol_architecture() -> None:
    index = related(("x", None, None, "GAN"), ("y", None, None, "LatDiff"), ("z", None, None, None))
    for fold in folds(index, "architecture", 0):
        assert generators_in(index, fold.train, fold.validation, fold.test) == {"x", "y"}


def test_generated_images_of_no_known_source_are_tested_with_their_generators() -> None:
    index = related(*((name, None, None, "GAN") for name in "abcd"))
    for fold in folds(index, "source", 0):
        assert len(generators_in(index, fold.test)) == 1


def test_a_group_of_more_than_a_third_of_the_generators_is_not_taken_from_training() -> None:
    index = related(*((name, "k" if name in "abc" else name, None, "GAN") for name in "abcde"))
    names = index.codes("generator")[1]
    for seed in range(8):
        held = validation_of(index, np.ones(len(names), bool), seed, "exclude")
        assert {names[code] for code in np.flatnonzero(held)} in ({"d"}, {"e"})
