"""captioning/cleaning.py: what becomes a prompt and what does not."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.cleaning import DroppedCaptionError, clean
from captioning.tokens import MAX_TOKENS, count_tokens


@pytest.mark.parametrize(
    ("caption", "prompt"),
    [
        ("a cat", "a cat"),
        ("  a\tcat \r\n on a\u00a0mat\n", "a cat on a mat"),
        ("a\x00cat\x1b[0m", "a cat [0m"),
        ("hand\u00adwritten\u200b", "handwritten"),
        ("\ufeffa cat", "a cat"),
        ("cafe\u0301", "caf\u00e9"),
        ("10 km\u00b2 of \ufb01elds", "10 km\u00b2 of \ufb01elds"),
        ("a clock clock clock on a wall", "a clock on a wall"),
        ("The the THE cat cat cat cat", "The cat"),
        ("a very very large cat", "a very very large cat"),
        ("one one1 one1 one1", "one one1"),
        ("7 cats", "7 cats"),
        ("[a dog on grass]", "[a dog on grass]"),
        ("(a man walks)", "(a man walks)"),
        ("no one", "no one"),
        ("3 x 4 = 12, on a blackboard", "3 x 4 = 12, on a blackboard"),
        ("${1 + 1} = {{2}}", "${1 + 1} = {{2}}"),
        ("None of them looks up", "None of them looks up"),
        ("\u4e00\u53ea\u732b", "\u4e00\u53ea\u732b"),
    ],
)
def test_a_caption_is_cleaned(caption: str, prompt: str) -> None:
    assert clean(caption) == prompt


@pytest.mark.parametrize(
    ("caption", "reason"),
    [
        ("", "empty"),
        (" \n\t\x00\u200b", "empty"),
        ("... !", "no-words"),
        ("\U0001f980", "no-words"),
        ("7", "no-words"),
        ("3.14, 42", "no-words"),
        ("1e-05", "no-words"),
        ("2026-11-30 12:30", "no-words"),
        ("3/4 (75 %)", "no-words"),
        *((text, "placeholder") for text in ("None", " nan", "NaN", "null", "N/A", "<NA>", "undefined", "TRUE", "[]")),
        *((text, "list") for text in ("['a dog', 'a cat']", '["a dog"]', "{'raw': 'a dog'}", '[{"raw": 1}]', "[1, 2]")),
        ("0 0.716797 0.395833 0.216406 0.147222", "labels"),
        ("Car 0.00 0 -1.58 587.01 173.33 614.12 200.12 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59", "labels"),
        ("2753 2408 2861 2385 2888 2468 2805 2502 plane 0", "labels"),
        ("a caf\ufffd", "garbled"),
        ("\ufffd\ufffd", "garbled"),
        ("word and " * 50, "too-long"),
    ],
)
def test_a_caption_is_dropped_for_a_reason(caption: str, reason: str) -> None:
    with pytest.raises(DroppedCaptionError) as dropped:
        clean(caption)
    assert dropped.value.reason == reason


def test_the_limit_counts_the_cleaned_caption() -> None:
    words = " ".join(f"{'abcde'[n % 5]}{'fghij'[n // 5 % 5]}{'klm'[n // 25]}" for n in range(MAX_TOKENS))
    assert clean(words + " \u200b" * 100) == words
    with pytest.raises(DroppedCaptionError, match="too-long"):
        clean(words + " one")


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("a cat on a mat", 5),
        ("A photograph of people, at 7.30 p.m.", 5 + 1 + 1 + 4 + 4 + 1),
        ("the dog's owner isn't here", 7),
        ("caf\u00e9", 5),
        ("\u4e00\u53ea\u732b", 9),
        ("snake_case", 3),
    ],
)
def test_tokens_are_counted_by_the_pieces_of_clips_tokenizer(text: str, tokens: int) -> None:
    assert count_tokens(text) == tokens


@given(st.text() | st.lists(st.sampled_from(["a", "A", "cat", "e\u0301", "\u200b", "-", "\n", "\ud800"])).map(" ".join))
def test_a_prompt_is_one_clean_line_and_cleaning_it_again_changes_nothing(caption: str) -> None:
    try:
        prompt = clean(caption)
    except DroppedCaptionError:
        return
    assert clean(prompt) == prompt
    assert prompt == " ".join(prompt.split())
    assert not any(unicodedata.category(character).startswith("C") for character in prompt)
    assert 0 < count_tokens(prompt) <= MAX_TOKENS
    prompt.encode()
