import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspace.errors import in_one_line
from workspace.printable import REPLACEMENT, in_line, printable, printable_values

# Any character, lone surrogates too, and often those that terminals obey.
hostile_texts = st.text(st.characters() | st.sampled_from("\x1b\x9b\x07\x00\r\n\t\u202e\u2028\ud800\udfff"))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | hostile_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(hostile_texts, inner, max_size=3),
    max_leaves=8,
)


def is_shown(text: str) -> bool:
    return all(unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp") or char in "\n\t" for char in text)


@given(hostile_texts)
def test_a_printable_text_can_be_encoded_and_has_no_control_characters(text: str) -> None:
    shown = printable(text)
    assert is_shown(shown)
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert printable(shown) == shown
    assert len(in_line(text).splitlines()) <= 1


@given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cf", "Cn"))))
def test_words_of_any_language_stay_as_they_are(text: str) -> None:
    assert printable(text) == text


def test_what_is_not_a_control_character_stays() -> None:
    # A family of four, joined by invisible characters, and Arabic with marks of direction.
    for text in ("👨\u200d👩\u200d👧\u200d👦", "\u200fمرحبا\u200e", "a\tb\nc", "é\u0301"):
        assert printable(text) == text
    assert printable("a\r\nb\rc") == "a\nb\nc"


@pytest.mark.attack
@pytest.mark.parametrize("text", ["\x1b]0;title\x07", "\x9b31m", "\x1b[2J", "\ud800", "\u202egnp.exe", "a\x08b"])
def test_no_sequence_for_a_terminal_is_left(text: str) -> None:
    assert REPLACEMENT in printable(text)
    assert is_shown(printable(text))
    assert is_shown(in_one_line(ValueError(text)))


@given(json_values)
def test_a_printable_value_of_json_is_written_and_read_back(value: object) -> None:
    shown = printable_values(value)
    assert json.loads(json.dumps(shown, ensure_ascii=False).encode("utf-8")) == shown
