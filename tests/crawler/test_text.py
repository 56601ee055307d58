import ast
import gc
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from crawler.card.markdown import parse_markdown
from crawler.card.model_card import read_card
from crawler.card.snippets import read_usage
from crawler.hub.repository import parse_json_object
from crawler.reasons import Incompatible
from crawler.text import load_json, parse_python
from workspace.printable import REPLACEMENT


@pytest.mark.attack
@pytest.mark.parametrize("escape", ["\\ud800", "\\uDFFF", "\\u001b", "\\u0000", "\\u009b", "\\u202e"])
def test_what_cannot_be_stored_or_shown_is_replaced_where_text_enters(escape: str) -> None:
    assert load_json(f'{{"a{escape}": ["{escape}"]}}'.encode()) == {f"a{REPLACEMENT}": [REPLACEMENT]}
    assert read_card(f'---\nlicense: "{escape}"\n---\n'.encode()).metadata == {"license": REPLACEMENT}
    code = f'```python\npipe("x", negative_prompt="{escape}")\n```\n'
    assert read_usage(parse_markdown(code), "a/b", ["negative_prompt"]).arguments == {"negative_prompt": REPLACEMENT}


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert load_json(json.dumps("\U0001f600").encode()) == "\U0001f600"
    front_matter = f"---\nlicense: {json.dumps(chr(0x1F600))}\n---\n"
    assert read_card(front_matter.encode()).metadata == {"license": "\U0001f600"}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"3", b"\xff\xfe", b"[" * 100_000, b'{"a": NaN'])
def test_anything_but_a_json_object_is_malformed(content: bytes) -> None:
    with pytest.raises(Incompatible, match="malformed"):
        parse_json_object(content, "config.json")


def test_python_is_parsed_in_many_threads_at_once() -> None:
    source = "\n".join(f"value_{number} = call({number}, (1 + (2 + (3 + (4 + 5)))))" for number in range(300))
    expected = ast.dump(ast.parse(source))

    def parse(depth: int) -> ast.Module:
        return parse_python(source) if depth == 0 else parse(depth - 1)

    # A garbage collection during a parse can switch to another thread.
    def elsewhere(_phase: str, _about: dict[str, int]) -> None:
        time.sleep(0)

    gc.callbacks.append(elsewhere)
    try:
        with ThreadPoolExecutor(8) as pool:
            trees = list(pool.map(parse, range(16)))
    finally:
        gc.callbacks.remove(elsewhere)
    assert ast.dump(trees[-1]) == expected
