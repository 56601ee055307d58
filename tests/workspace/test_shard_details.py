"""The first and the last shard are shards, and every one is the share that its number says."""

import pytest

from workspace.errors import UsageError
from workspace.shard import Shard


@pytest.mark.parametrize("text", ["1/1", "1/2", "2/2", "1/16", "16/16", "999999999/999999999"])
def test_the_first_and_the_last_shard_are_accepted(text: str) -> None:
    assert str(Shard.parse(text)) == text


@pytest.mark.parametrize(("text", "numbers"), [("0/4", "1..4"), ("5/4", "1..4"), ("1/0", "1..1"), ("2/1", "1..1")])
def test_a_number_out_of_range_is_refused_with_the_range(text: str, numbers: str) -> None:
    with pytest.raises(UsageError, match=numbers):
        Shard.parse(text)


def test_a_share_is_every_so_manieth_item_from_its_number_on() -> None:
    assert [Shard(index, 3).of("abcdefgh") for index in (1, 2, 3)] == [list("adg"), list("beh"), list("cf")]
