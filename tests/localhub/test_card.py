import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localhub import card
from localhub.card import BrokenCardError


def test_metadata_is_plain_json() -> None:
    said = card.parse("---\r\nlicense: mit\r\ndate: 2024-01-02\r\nscore: .nan\r\ntags:\r\n- a\r\n- 1\r\n---\r\ntext")
    assert said == {"license": "mit", "date": "2024-01-02", "score": None, "tags": ["a", 1]}
    assert card.texts(said["tags"]) == ["a", "1"]


@pytest.mark.parametrize(
    "readme", ["", "# Title\n---\nlicense: mit\n---\n", "---\nnever closed", "---\n---\n", "---\n\n---\n"]
)
def test_a_card_without_metadata_gives_none(readme: str) -> None:
    assert card.parse(readme) is None


LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(40))


@pytest.mark.parametrize(
    "block",
    [
        "license: [mit",
        "- a\n- b",
        "just text",
        "a: &a [*a]",
        LAUGHS,
        "x: " + "[" * 100_000,
        "{" * 100_000,
        "? " * 50_000,
        "a: !!python/object/apply:os.system ['true']",
        "n: " + "9" * 5000,
        "a: \x00",
    ],
    ids=lambda block: block[:12].encode("unicode_escape").decode(),
)
def test_broken_and_hostile_metadata_is_refused_with_a_reason(block: str) -> None:
    with pytest.raises(BrokenCardError) as refusal:
        card.parse(f"---\n{block}\n---\n")
    assert str(refusal.value)


@given(st.text())
def test_any_text_gives_metadata_for_json_or_an_error(block: str) -> None:
    try:
        said = card.parse(f"---\n{block}\n---\n")
    except BrokenCardError:
        return
    json.dumps(said, allow_nan=False)


def test_texts_reads_one_text_or_a_list() -> None:
    assert card.texts("mit") == ["mit"]
    assert card.texts(["a", None, {"b": 1}, True, ""]) == ["a"]
    assert card.texts(None) == []


def test_the_metadata_may_have_a_megabyte() -> None:
    text = "x" * ((1 << 20) - len("a: "))
    assert card.parse(f"---\na: {text}\n---\n") == {"a": text}
    with pytest.raises(BrokenCardError, match="larger than 1048576 bytes"):
        card.parse(f"---\na: {text}x\n---\n")
