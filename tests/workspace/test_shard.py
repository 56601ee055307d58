"""Shards are counted from 1, and each item is in exactly one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspace.errors import UsageError
from workspace.shard import Shard


def test_three_of_sixteen_is_the_third() -> None:
    assert Shard.parse("3/16") == Shard(3, 16)
    assert str(Shard.parse("3/16")) == "3/16"


@pytest.mark.parametrize(
    "text", ["", "3", "0/4", "5/4", "-1/4", "1/0", "3/16/2", " 3/16", "3/16\n", "a/b", "٣/16", "1" * 20 + "/2"]
)
def test_a_bad_shard_is_refused_with_one_line_that_says_what_to_do(text: str) -> None:
    with pytest.raises(UsageError) as refusal:
        Shard.parse(text)
    assert "\n" not in str(refusal.value)
    assert "--shard" in str(refusal.value)


@given(st.lists(st.integers()), st.integers(1, 20))
def test_each_item_is_in_exactly_one_shard(items: list[int], count: int) -> None:
    shares = [Shard(index, count).of(items) for index in range(1, count + 1)]
    assert sorted(item for share in shares for item in share) == sorted(items)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(st.text())
def test_any_text_is_a_shard_or_a_usage_error(text: str) -> None:
    try:
        shard = Shard.parse(text)
    except UsageError:
        return
    assert 1 <= shard.index <= shard.count
