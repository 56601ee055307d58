import pytest

from tests.bounds import within
from workspace.json_text import load_json


def test_values_are_those_of_json() -> None:
    for text in ('{"a": [1, "b", null, {"c": 2.5}]}', "[]", '"a"'):
        assert load_json(text) == load_json(text.encode()) == load_json(bytearray(text.encode()))


@pytest.mark.attack
@pytest.mark.parametrize("piece", ["[],", '{"a":1},', "1,", "{", '"a":{},'])
def test_small_values_take_no_more_memory_than_is_allowed(piece: str) -> None:
    text = "[" + piece * (10 * 2**20 // len(piece)) + "1]"
    for given in (text, text.encode()):
        with within(seconds=5, megabytes=30), pytest.raises(ValueError, match="more than 100,000 values"):
            load_json(given, most=100_000)
