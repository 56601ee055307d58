from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from captioning.prompt import Prompt
from samplers.prompting import PromptPool, permutation


def _prompts(**sources: list[str]) -> list[Prompt]:
    return [
        Prompt(
            prompt_id=f"{source}/{number}",
            prompt=text,
            real_source=source,
            real_id=str(number),
            real_path=f"/{source}/{number}.jpg",
            real_sha256="0" * 64,
            real_format="JPEG",
            real_width=1,
            real_height=1,
            caption_origin="dataset",
        )
        for source, texts in sources.items()
        for number, text in enumerate(texts)
    ]


@given(st.integers(0, 200), st.text())
def test_a_permutation_holds_every_number_once(count: int, key: str) -> None:
    assert sorted(permutation(count, key)) == list(range(count))


def test_a_permutation_is_the_same_everywhere() -> None:
    # Written down once: another order would give every generator other images.
    assert list(permutation(8, "org/name")) == [2, 4, 0, 7, 3, 5, 1, 6]


def test_places_spread_evenly() -> None:
    firsts = [next(permutation(4, f"generator {number}")) for number in range(2000)]
    assert all(430 < firsts.count(place) < 570 for place in range(4))


def test_no_text_comes_twice_before_every_text_came_once() -> None:
    pool = PromptPool(_prompts(a=["one", "two", "three"], b=["two", "four"]))
    assert pool.size == 4
    drawn = [prompt.prompt for prompt in islice(pool.draw("x"), 12)]
    for lap in range(3):
        assert sorted(drawn[4 * lap : 4 * lap + 4]) == ["four", "one", "three", "two"]


def test_real_sources_take_turns_however_different_their_sizes() -> None:
    pool = PromptPool(_prompts(large=[f"l{n}" for n in range(1000)], small=[f"s{n}" for n in range(10)]))
    sources = [prompt.real_source for prompt in islice(pool.draw("x"), 20)]
    assert sources.count("small") == sources.count("large") == 10


def test_generators_differ_in_what_they_are_asked() -> None:
    pool = PromptPool(_prompts(a=[str(number) for number in range(1000)]))
    first, second = ([prompt.prompt for prompt in islice(pool.draw(name), 50)] for name in ("x", "y"))
    assert len(set(first) & set(second)) < 15


def test_an_empty_pool_gives_nothing() -> None:
    assert list(PromptPool([]).draw("x")) == []


def test_the_digest_changes_with_any_prompt() -> None:
    digests = {PromptPool(_prompts(a=texts)).digest for texts in ([], ["one"], ["two"], ["one", "two"], ["two", "one"])}
    assert len(digests) == 5
