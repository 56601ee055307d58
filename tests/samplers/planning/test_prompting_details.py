"""The order of prompts and their digest are the same in every release.

A change would give every generator other images, and every workspace another recipe.
"""

import hashlib
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from string import ascii_lowercase

import pytest

from captioning.prompt_table import PromptTable
from samplers.planning.prompting import PromptPool, parse_weights
from tests.samplers.planning.test_prompting import _prompts
from workspace.errors import UsageError

SOURCES = {
    "photos": ["a cat", "a dog", "a horse", "a rocket"],
    "art": ["a vase", "a tree"],
    "digits": ["one", "two", "six"],
}


def drawn(pool: PromptPool, key: str = "org/name", count: int = 18) -> Iterator[str]:
    return (prompt.prompt_id for prompt in islice(pool.draw(key), count))


def test_the_order_of_prompts_is_the_same_in_every_release() -> None:
    assert " ".join(drawn(PromptPool(_prompts(**SOURCES)))) == (
        "photos/3 art/1 digits/1 photos/1 art/0 digits/0 photos/2 digits/2 photos/0 "
        "art/0 photos/2 digits/0 art/1 photos/1 digits/1 photos/3 digits/2 photos/0"
    )
    assert " ".join(drawn(PromptPool(_prompts(**SOURCES), {"photos": 3.0, "art": 0.5}))) == (
        "photos/3 photos/1 digits/1 photos/2 photos/0 art/1 digits/0 digits/2 art/0 "
        "photos/2 photos/1 digits/0 photos/3 photos/0 art/0 digits/1 digits/2 art/1"
    )


def test_the_order_in_which_sources_are_read_does_not_matter() -> None:
    for names in (["art", "digits", "photos"], ["digits", "photos", "art"]):
        pool = PromptPool(_prompts(**{name: SOURCES[name] for name in names}))
        assert list(drawn(pool)) == list(drawn(PromptPool(_prompts(**SOURCES))))


def test_the_digest_is_that_of_ids_and_texts() -> None:
    of_each = [hashlib.sha256(content).hexdigest() for content in (b"a/0\x00a cat\x00", b"a/1\x00a dog\x00")]
    assert PromptPool(_prompts(a=["a cat", "a dog"])).digest == hashlib.sha256("".join(of_each).encode()).hexdigest()


def test_the_weights_that_a_recipe_records_are_sorted_by_name() -> None:
    pool = PromptPool(_prompts(**{name: [name] for name in reversed(ascii_lowercase)}), {"q": 2.0})
    assert list(pool.weights.items()) == [(name, 2.0 if name == "q" else 1.0) for name in ascii_lowercase]


def test_a_weight_of_zero_is_a_weight() -> None:
    assert parse_weights(["coco=0", "ffhq=0.5"]) == {"coco": 0.0, "ffhq": 0.5}


def test_an_unknown_source_is_named_beside_all_that_exist() -> None:
    unknown = dict.fromkeys((f"x{letter}" for letter in reversed(ascii_lowercase)), 1.0)
    with pytest.raises(UsageError, match=rf"xa\b.*{', '.join(ascii_lowercase)}$"):
        PromptPool(_prompts(**{name: [name] for name in reversed(ascii_lowercase)}), unknown)
    with pytest.raises(UsageError, match=r"\bnone$"):
        PromptPool([], {"coco": 1.0})


def test_a_pool_takes_a_few_bytes_for_each_prompt_and_drawing_makes_objects_of_what_is_drawn() -> None:
    table = PromptTable.of(_prompts(photos=[f"a photograph of {number}" for number in range(20_000)]))
    tracemalloc.start()
    try:
        pool = PromptPool(table)
        at_rest, _ = tracemalloc.get_traced_memory()
        list(islice(pool.draw("org/name"), 400))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Four bytes a row, in an array that grows by an eighth.
    assert at_rest < 20_000 * 8
    assert after < at_rest + 20_000
