from collections import Counter
from dataclasses import replace
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.prompt import Prompt
from samplers.planning.prompting import PromptPool, parse_weights, permutation
from tests.records import prompt
from workspace.errors import UsageError


def _prompts(**sources: list[str]) -> list[Prompt]:
    return [prompt(source, number, text) for source, texts in sources.items() for number, text in enumerate(texts)]


@given(st.integers(0, 200), st.text())
def test_a_permutation_has_every_number_once(count: int, key: str) -> None:
    assert sorted(permutation(count, key)) == list(range(count))


def test_a_permutation_is_the_same_everywhere() -> None:
    # Written down once: another order would give every generator other images.
    assert list(permutation(8, "org/name")) == [2, 4, 0, 7, 3, 5, 1, 6]


def test_positions_are_spread_evenly() -> None:
    firsts = [next(permutation(4, f"generator {number}")) for number in range(2000)]
    assert all(430 < firsts.count(place) < 570 for place in range(4))


def test_no_text_is_repeated_before_every_text_was_used() -> None:
    pool = PromptPool(_prompts(a=["one", "two", "three"], b=["two", "four"]))
    assert pool.size == 4
    drawn = [prompt.prompt for prompt in islice(pool.draw("x"), 12)]
    for lap in range(3):
        assert sorted(drawn[4 * lap : 4 * lap + 4]) == ["four", "one", "three", "two"]


def test_real_sources_take_turns_however_different_their_sizes() -> None:
    pool = PromptPool(_prompts(large=[f"l{n}" for n in range(1000)], small=[f"s{n}" for n in range(10)]))
    sources = [prompt.real_source for prompt in islice(pool.draw("x"), 20)]
    assert sources.count("small") == sources.count("large") == 10


def test_the_order_of_prompts_is_that_of_the_first_version() -> None:
    # Written down from the first version: another order would give every generator other images.
    pool = PromptPool(_prompts(a=["a1", "a2", "a3"], b=[f"b{n}" for n in range(1, 7)], c=["c1", "c2", "c3", "c4"]))
    drawn = [prompt.prompt for prompt in islice(pool.draw("org/name"), 20)]
    assert " ".join(drawn) == "c4 a1 b1 c3 a3 b4 c1 a2 b3 c2 b2 b6 b5 a2 c3 b5 a1 c1 b6 a3"


@given(st.floats(1e-3, 1e3), st.text())
def test_equal_weights_are_the_same_as_no_weights(weight: float, key: str) -> None:
    prompts = _prompts(a=["1", "2", "3"], b=["4", "5", "6", "7"], c=["8"])
    weighted = PromptPool(prompts, dict.fromkeys("abc", weight))
    assert list(islice(weighted.draw(key), 20)) == list(islice(PromptPool(prompts).draw(key), 20))


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=5), st.text(), st.integers(1, 200))
def test_at_any_moment_each_source_has_its_share(weights: list[float], key: str, count: int) -> None:
    names = "abcde"[: len(weights)]
    pool = PromptPool(_prompts(**{name: [f"{name}{n}" for n in range(200)] for name in names}), _by(names, weights))
    sources = [prompt.real_source for prompt in islice(pool.draw(key), count)]
    for name, weight in zip(names, weights, strict=True):
        assert abs(sources.count(name) - count * weight / sum(weights)) < len(names)


def _by(names: str, weights: list[float]) -> dict[str, float]:
    return dict(zip(names, weights, strict=True))


def test_a_source_of_little_weight_is_drawn_for_some_generators() -> None:
    pool = PromptPool(_prompts(heavy=[f"h{n}" for n in range(100)], light=["l"]), {"light": 0.01})
    with_light = sum("l" in {each.prompt for each in islice(pool.draw(f"g{n}"), 20)} for n in range(500))
    assert 0.15 < with_light / 500 < 0.25


@given(st.text(), st.floats(0.01, 100))
def test_weights_do_not_repeat_a_text(key: str, weight: float) -> None:
    pool = PromptPool(_prompts(a=["one", "two", "three"], b=["two", "four"]), {"a": weight})
    drawn = [prompt.prompt for prompt in islice(pool.draw(key), 4)]
    assert sorted(drawn) == ["four", "one", "three", "two"]


def test_a_source_of_weight_0_is_never_drawn_and_its_texts_belong_to_others() -> None:
    prompts = _prompts(a=["one", "two"], b=["two", "three"])
    pool = PromptPool(prompts, {"a": 0})
    assert sorted((each.real_source, each.prompt) for each in islice(pool.draw("x"), 2)) == [
        ("b", "three"),
        ("b", "two"),
    ]
    assert pool.digest == PromptPool(prompts).digest
    assert pool.weights == {"a": 0.0, "b": 1.0}


def test_weights_of_unknown_sources_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="--source-weight coco: no such real source in this workspace; it has: a, b"):
        PromptPool(_prompts(a=["one"], b=["two"]), {"coco": 1})
    with pytest.raises(UsageError, match="no prompt to draw"):
        PromptPool(_prompts(a=["one"]), {"a": 0})


@pytest.mark.parametrize("text", ["coco", "=1", "coco=", "coco=-1", "coco=nan", "coco=inf", "coco=much"])
def test_an_invalid_weight_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not of the form NAME=WEIGHT"):
        parse_weights([text])


def test_weights_are_read_once_for_each_name() -> None:
    assert parse_weights(["coco=2", "photos=0.5"]) == {"coco": 2.0, "photos": 0.5}
    with pytest.raises(UsageError, match="twice"):
        parse_weights(["coco=2", "coco=3"])


def test_generators_get_different_prompts() -> None:
    pool = PromptPool(_prompts(a=[str(number) for number in range(1000)]))
    first, second = ([prompt.prompt for prompt in islice(pool.draw(name), 50)] for name in ("x", "y"))
    assert len(set(first) & set(second)) < 15


def test_an_empty_pool_gives_nothing() -> None:
    assert list(PromptPool([]).draw("x")) == []


def test_the_digest_changes_with_any_prompt() -> None:
    digests = {PromptPool(_prompts(a=texts)).digest for texts in ([], ["one"], ["two"], ["one", "two"], ["two", "one"])}
    assert len(digests) == 5


def test_the_first_prompts_of_a_generator_are_drawn_by_their_weights() -> None:
    """Of a pool that is larger than what a generator draws, the share of generators with a prompt is as its weight."""
    weights = [4.0, 2.0, 1.0, 0.5] * 25
    prompts = [prompt("a", number, str(number), weight=weight) for number, weight in enumerate(weights)]
    pool = PromptPool(prompts)
    seen = Counter(each.weight for n in range(300) for each in islice(pool.draw(f"g{n}"), 15))
    assert len(seen) == 4
    for weight in (4.0, 2.0, 1.0):
        assert 1.75 < seen[weight] / seen[weight / 2] < 2.3


@given(st.lists(st.sampled_from([0.5, 1.0, 2.0, 7.5]), min_size=2, max_size=9), st.text(), st.integers(1, 300))
def test_at_any_moment_each_prompt_has_its_share_of_its_source(weights: list[float], key: str, count: int) -> None:
    prompts = [prompt("a", number, str(number), weight=weight) for number, weight in enumerate(weights)]
    drawn = Counter(each.prompt_id for each in islice(PromptPool(prompts).draw(key), count))
    for one in prompts:
        assert abs(drawn[one.prompt_id] - count * one.weight / sum(weights)) < len(weights) + 1


def test_weights_of_prompts_do_not_change_the_shares_of_the_sources() -> None:
    prompts = [prompt("a", n, f"a{n}", weight=1.0 + n % 3) for n in range(90)] + _prompts(
        b=[f"b{n}" for n in range(90)]
    )
    sources = [each.real_source for each in islice(PromptPool(prompts, {"b": 2}).draw("x"), 120)]
    assert sources.count("a") == 40
    # A lap of one source has as many prompts as it has texts, whatever their weights.
    lap = [each.real_source for each in islice(PromptPool(prompts).draw("x"), 180)]
    assert Counter(lap) == {"a": 90, "b": 90}


@given(st.text(), st.sampled_from([0.25, 1.0, 3.0]))
def test_equal_weights_of_prompts_are_the_same_as_none(key: str, weight: float) -> None:
    plain = _prompts(a=["1", "2", "3"], b=["4", "5", "6", "7"])
    weighted = [replace(each, weight=weight) if each.real_source == "a" else each for each in plain]
    orders = [[each.prompt_id for each in islice(PromptPool(each).draw(key), 20)] for each in (plain, weighted)]
    assert orders[0] == orders[1]


def test_a_prompt_of_weight_0_is_never_drawn_and_its_text_belongs_to_others() -> None:
    prompts = [prompt("a", 0, "one", weight=0.0), prompt("a", 1, "two"), prompt("b", 0, "one")]
    pool = PromptPool(prompts)
    assert {each.prompt_id for each in islice(pool.draw("x"), 6)} == {"a/1", "b/0"}
    with pytest.raises(UsageError, match="no prompt to draw"):
        PromptPool(prompts[:1])


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_weight_that_is_none_is_refused_with_the_prompt(weight: float) -> None:
    with pytest.raises(UsageError, match=r"prompt a/0: its weight .* must be 0 \(never\) or a larger number"):
        PromptPool([prompt("a", 0, "one", weight=weight)])


def test_a_weight_is_in_the_digest() -> None:
    one, two = (PromptPool([prompt("a", 0, "one", weight=weight)]) for weight in (1.0, 2.0))
    assert one.digest != two.digest
