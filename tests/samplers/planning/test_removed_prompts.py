"""A removed prompt keeps its place: what every other index of every generator gets stays the same."""

import hashlib
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.prompt import Prompt
from captioning.removed_prompts import Place, RemovedPrompt, separated
from samplers.planning.prompting import PromptPool
from samplers.planning.reservation import Reservation
from tests.records import prompt
from workspace.errors import UsageError
from workspace.removed import Removals, Removed, real_key

_WORDS = ("a cat", "a dog", "a horse", "a tree", "a house", "a boat", "the sea", "a hill")


def _sha256(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def _captioned(source: str, texts: list[int], weighted: bool = False) -> list[Prompt]:
    return [
        prompt(
            source,
            number,
            _WORDS[text],
            real_sha256=_sha256(number + (100 if source == "b" else 0)),
            weight=1.0 + text % 3 if weighted else None,
        )
        for number, text in enumerate(texts)
    ]


def _with_places(parts: list[list[Prompt]], removals: Removals) -> list[Place]:
    places: list[Place] = []
    for part in parts:
        kept, removed = separated(part, removals)
        by_row = {one.row: one for one in removed}
        rest = iter(kept)
        places += [by_row[row] if row in by_row else next(rest) for row in range(len(part))]
    return places


def _removals(numbers: set[int]) -> Removals:
    return Removals(
        Removed(what="real-image", key=real_key(_sha256(number)), reason="privacy", day="2026-11-30")
        for number in numbers
    )


@given(
    texts=st.tuples(
        st.lists(st.integers(0, 7), min_size=1, max_size=9), st.lists(st.integers(0, 7), min_size=1, max_size=9)
    ),
    removed=st.sets(st.one_of(st.integers(0, 8), st.integers(100, 108))),
    weighted=st.booleans(),
    share=st.sampled_from([0.0, 0.3]),
)
def test_whatever_is_removed_all_other_prompts_are_drawn_where_they_were(
    texts: tuple[list[int], list[int]], removed: set[int], weighted: bool, share: float
) -> None:
    parts = [_captioned("a", texts[0], weighted), _captioned("b", texts[1], weighted)]
    reservation = Reservation.named(share, ["name=org/test"] if share else [], [])
    before = PromptPool([one for part in parts for one in part], reservation=reservation)
    places = _with_places(parts, _removals(removed))
    after = PromptPool(places, reservation=reservation)
    assert (after.digest, after.size, after.sizes(), after.weights) == (
        before.digest, before.size, before.sizes(), before.weights,
    )  # fmt: skip
    gone = {one.real_sha256 for part in parts for one in part} & {_sha256(number) for number in removed}
    for split in ("train", "test"):
        for key in ("org/one", "org/two"):
            former = list(islice(before.draw(key, split), 30))
            drawn = list(islice(after.places(key, split), 30))
            assert [one.real_sha256 in gone for one in former] == [isinstance(one, RemovedPrompt) for one in drawn]
            for one, place in zip(former, drawn, strict=True):
                if not isinstance(place, RemovedPrompt):
                    assert place == one
                    continue
                try:
                    instead = after.filled(place, key, split)
                except UsageError:
                    assert all(each.real_sha256 in gone for each in former)
                else:
                    assert instead.prompt_id in {each.prompt_id for each in places if isinstance(each, Prompt)}
                    assert instead == after.filled(place, key, split)


def test_what_an_earlier_round_planned_comes_last_also_where_it_was_removed() -> None:
    part = _captioned("a", list(range(8)))
    before = PromptPool(part)
    first = {one.prompt_id for one in islice(before.places("org/one"), 4)}
    later = list(islice(before.places("org/one", planned=first), 8))
    removals = _removals({0, 3, 5})
    after = PromptPool(_with_places([part], removals))
    first = {one.prompt_id for one in islice(after.places("org/one"), 4)}
    now = list(islice(after.places("org/one", planned=first), 8))
    for one, other in zip(later, now, strict=True):
        assert one == other or (isinstance(other, RemovedPrompt) and int(str(one.prompt_id)[2:]) in {0, 3, 5})


def test_another_prompt_of_the_same_source_takes_the_place_as_long_as_there_is_one() -> None:
    parts = [_captioned("a", [0, 1, 2]), _captioned("b", [3, 4, 5])]
    one_left = PromptPool(_with_places(parts, _removals({0, 1})))
    places = [place for place in islice(one_left.places("org/one"), 6) if isinstance(place, RemovedPrompt)]
    assert {one_left.filled(place, "org/one").prompt_id for place in places} == {"a/2"}
    none_left = PromptPool(_with_places(parts, _removals({0, 1, 2})))
    places = [place for place in islice(none_left.places("org/one"), 6) if isinstance(place, RemovedPrompt)]
    assert {none_left.filled(place, "org/one").real_source for place in places} == {"b"}
    nothing = PromptPool(_with_places(parts, _removals({0, 1, 2, 100, 101, 102})))
    with pytest.raises(UsageError, match="the real images of all prompts"):
        next(nothing.draw("org/one"))
