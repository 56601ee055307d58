"""Which shard has which generator, and in which order, where the choice is close."""

import pytest

from crawler.catalog import ModelFile
from samplers.assignment.shard_assignment import assign_shards, bytes_to_load, sampling_order
from tests.samplers.campaign import entry


def weights(name: str, size: int) -> ModelFile:
    return ModelFile(path=f"{name}/model.safetensors", size=size, sha256=name.ljust(64, "0"))


def test_the_first_shard_is_number_one() -> None:
    division = assign_shards({"a": 3.0, "b": 2.0, "c": 1.0}, 3)
    assert division.names == (("a",), ("b",), ("c",))
    assert [division.names_of(index) for index in range(1, 6)] == [("a",), ("b",), ("c",), (), ()]


def test_generators_that_cost_nothing_are_spread_too() -> None:
    division = assign_shards(dict.fromkeys("abcdef", 0.0), 3)
    assert division.names == (("a", "d"), ("b", "e"), ("c", "f"))


@pytest.mark.parametrize(
    ("shared", "beside"),
    [
        # Bytes that need not be loaded again: 10 of "large", which two share; 2 * 6 of "small", which three share.
        ({"large": 10, "small": 6}, "small"),
        # 10 of "large"; 2 * 4 of "small".
        ({"large": 10, "small": 4}, "large"),
    ],
)
def test_a_generator_is_beside_those_with_whom_it_shares_most(shared: dict[str, int], beside: str) -> None:
    large, small = (weights(name, size) for name, size in shared.items())
    entries = [
        entry("org/small-1", rank=1, files=(small,)),
        entry("org/large", rank=2, files=(large,)),
        entry("org/small-2", rank=3, files=(small,)),
        entry("org/both", rank=4, files=(large, small)),
    ]
    names = [each.model_name.removeprefix("org/") for each in sampling_order(entries)]
    expected = {"small": ["small-1", "small-2", "both", "large"], "large": ["small-1", "small-2", "large", "both"]}
    assert names == expected[beside]


def test_what_is_loaded_is_counted_to_the_byte() -> None:
    base, other = weights("base", 100), weights("other", 30)
    uncounted = (
        ModelFile(path="model_index.json", size=5, sha256="1" * 64),
        ModelFile(path="unet/unhashed.safetensors", size=7, sha256=None),
    )
    assert bytes_to_load([]) == 0
    assert bytes_to_load([entry(files=(base, *uncounted))]) == 100
    # The base stays in memory for the generator after it, and only for that one.
    entries = [
        entry(files=(base,)),
        entry(files=(other,), base_files=(base,)),
        entry(files=(other,)),
        entry(files=(base,)),
    ]
    assert bytes_to_load(entries) == 100 + 30 + 0 + 100
