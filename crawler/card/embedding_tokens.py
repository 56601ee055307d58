"""Where the tokens of an embedding belong: in the prompt, or in the negative prompt (what images should not show)."""

import re
from dataclasses import dataclass
from typing import Literal

from crawler.card.model_card import Card
from crawler.card.snippets import Usage
from crawler.card.trigger_words import read_trigger_words

_NEGATIVE = re.compile(
    r"\bnegative (?:embedding|textual[ -]inversion|inversion)"
    r"|\b(?:in|into|to|inside|with) (?:the|your|a|my) \W?negatives?\b(?: prompts?)?|\bas (?:a )?negative prompts?\b",
    re.IGNORECASE,
)
#: Characters of text in which such words are looked for.
MAX_TEXT = 60_000


@dataclass(frozen=True)
class Words:
    """What must be in the prompts, and where it is said."""

    in_prompt: str | None
    in_negative_prompt: str | None
    origin: Literal["card", "config"]


def words_for_prompts(card: Card, usage: Usage, token: str | None) -> Words:
    """The trigger words of a card, or the tokens of an embedding; `token` is that of a file of its repository."""
    if usage.embedding_file is not None:  # beside a LoRA; its card says how they stand in the prompt
        return Words(read_trigger_words(card) or "".join(usage.tokens) or None, None, "card")
    if usage.tokens:
        return _words_of_inversion(card, usage, ", ".join(usage.tokens), "card")
    stated = read_trigger_words(card)
    if stated is None and token is not None:
        return _words_of_inversion(card, usage, token, "config")
    return Words(stated, None, "card")


def _words_of_inversion(card: Card, usage: Usage, words: str, origin: Literal["card", "config"]) -> Words:
    prompt, negative = (usage.arguments.get(name) for name in ("prompt", "negative_prompt"))
    shown = [isinstance(text, str) and words in text for text in (prompt, negative)]
    is_negative = shown[1] if any(shown) and not all(shown) else _NEGATIVE.search(card.body[:MAX_TEXT]) is not None
    return Words(None, words, origin) if is_negative else Words(words, None, origin)
