"""Where the tokens of an embedding belong: in the prompt, or in the negative prompt (what images should not show)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from crawler.card.model_card import Card
from crawler.card.snippets import Usage
from crawler.card.trigger_words import read_trigger_words

# "Put it into the negative prompt", "This is a negative embedding": not what an author says of other embeddings.
_NEGATIVE = re.compile(
    r"\b(?:in|into|to|inside|as|with) (?:the |your |a |my )?\W{0,3}negatives?\b(?:[ _-]prompts?)?", re.IGNORECASE
)
_ITSELF = re.compile(r"\b(?:it|this|the embedding)\b.{0,60}$", re.IGNORECASE)
_NEGATIVE_KIND = re.compile(
    r"^(?:(?:this|it)(?: embedding)? is |it's )?an? negative[ _-](?:embedding|textual[ _-]inversion|inversion)\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True)
class Words:
    """What must be in the prompts, and where it is said."""

    in_prompt: str | None
    in_negative_prompt: str | None
    origin: Literal["card", "config"]


def words_for_prompts(card: Card, usage: Usage, token: str | None) -> Words:
    """The trigger words of a card, or the tokens of an embedding; `token` is that of its repository."""
    if usage.embedding_file is not None:  # beside a LoRA; its card says how they stand in the prompt
        return Words(read_trigger_words(card) or "".join(usage.tokens) or None, None, "card")
    if usage.tokens:
        return _words_of_inversion(card, usage, ", ".join(usage.tokens), "card")
    stated = read_trigger_words(card)
    if token is not None and (stated is None or token in stated):
        return _words_of_inversion(card, usage, stated or token, "config" if stated is None else "card")
    return Words(stated, None, "card")


def _words_of_inversion(card: Card, usage: Usage, words: str, origin: Literal["card", "config"]) -> Words:
    prompt, negative = (usage.arguments.get(name) for name in ("prompt", "negative_prompt"))
    shown = [isinstance(text, str) and words in text for text in (prompt, negative)]
    is_negative = shown[1] if any(shown) and not all(shown) else _is_negative(card, words.split(", "))
    return Words(None, words, origin) if is_negative else Words(words, None, origin)


def _is_negative(card: Card, tokens: Sequence[str]) -> bool:
    lines = (line.text for line in card.document.lines())
    return any(_says_negative(sentence, tokens) for line in lines for sentence in _SENTENCE_END.split(line))


def _says_negative(sentence: str, tokens: Sequence[str]) -> bool:
    if _NEGATIVE_KIND.match(sentence):
        return True
    place = _NEGATIVE.search(sentence)
    if place is None:
        return False
    before = sentence[: place.start()]
    return any(token in before for token in tokens) or _ITSELF.search(before) is not None
