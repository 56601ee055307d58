import json

import pytest

from crawler.card import read_card
from crawler.inspection import parse_object
from crawler.snippets import read_usage
from crawler.text import load_json
from crawler.verdict import Incompatible

HALF = "\\ud800"


def test_half_a_character_is_a_question_mark_wherever_it_comes_from() -> None:
    assert load_json(f'{{"a{HALF}": ["{HALF}"]}}'.encode()) == {"a?": ["?"]}
    assert read_card(f'---\nlicense: "{HALF}"\n---\n'.encode()).metadata == {"license": "?"}
    code = f'```python\npipe("x", negative_prompt="{HALF}")\n```\n'
    assert read_usage(code, "a/b", ["negative_prompt"]).arguments == {"negative_prompt": "?"}


def test_whole_characters_spelled_in_halves_stay() -> None:
    assert load_json(json.dumps("\U0001f600").encode()) == "\U0001f600"


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"3", b"\xff\xfe", b"[" * 100_000, b'{"a": NaN'])
def test_what_is_no_json_object_is_malformed(content: bytes) -> None:
    with pytest.raises(Incompatible, match="malformed"):
        parse_object(content, "config.json")
