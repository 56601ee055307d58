"""Trigger words: what a model card says must be in the prompt for the model to work.

Front matter comes first (`instance_prompt`), then the sentences that training scripts write, then the forms in which
authors put it themselves. A text that only looks like one of these gives none.
"""

import re
from collections.abc import Iterable

from crawler.card.document import Document
from crawler.card.model_card import Card
from crawler.text import stated_text

# A text set apart from the words around it: as code, in bold or italics, or in quotes.
_MARKED = r"(?:`([^`\n]{1,100})`|\*\*([^*\n]{1,100})\*\*|\"([^\"\n]{1,100})\"|'([^'\n]{1,100})')"
#: Sentences, over the text of a paragraph; the first group that matches holds the words.
_SENTENCES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # The Hub's LoRA cards: "You should use `TOK` to trigger the image generation."
        r"You should use `?([^`\n]{1,300}?)`? to trigger the image generation",
        # The textual inversion concepts library: "This is the `<cat-toy>` concept taught to Stable Diffusion".
        r"This is the `(<[^`\n]{1,100}>)` concept",
        # DreamBooth's training scripts: "The weights were trained on a photo of sks dog using DreamBooth."
        r"weights were trained on (?:`([^`\n]{1,300})`|([^\n]{1,200}?) using DreamBooth)",
        # "Use the tokens **arcane style** in your prompts"
        rf"\buse the tokens? {_MARKED} in (?:your|the) prompts?",
    )
)
#: A line of its own, such as "Trigger word: `pxlart`".
_STATEMENT = re.compile(
    r"^(?:\*\*)?(?:trigger|activation|instance)[ -](?:words?|tokens?|phrases?|keywords?|prompt)(?::\*\*|\*\*:|:) *"
    rf"(?:{_MARKED}|([\w<][\w<> -]{{0,40}}))(?:\*\*)?\.?$",
    re.IGNORECASE,
)
# "Trigger words: none needed" gives none; "<ID> 1girl" has a place for a word, but not the word.
_NO_WORD = re.compile(r"^(?:none|no|not|n/a|any|see|optional|unnecessary|you|there)\b|(?-i:<[A-Z]+>)", re.IGNORECASE)


def read_trigger_words(card: Card) -> str | None:
    """The trigger words that a card gives; several are joined by commas. None: it gives none."""
    stated = stated_text(card.metadata.get("instance_prompt"))
    if stated is not None:
        return stated
    found = _in_sentences(card.document) or _in_statements(card.document)
    return ", ".join(found) or None


def _in_sentences(document: Document) -> list[str]:
    paragraphs = [" ".join(line.emphasized for line in lines) for lines in document.paragraphs()]
    for pattern in _SENTENCES:
        words = _words(match for paragraph in paragraphs for match in pattern.finditer(paragraph))
        if words:
            return words
    return []


def _in_statements(document: Document) -> list[str]:
    lines = (line.emphasized for lines in document.paragraphs() for line in lines)
    return _words(match for line in lines if (match := _STATEMENT.match(line)) is not None)


def _words(matches: Iterable[re.Match[str]]) -> list[str]:
    """What the matches name, each once; the first group of each that is not empty."""
    found = dict.fromkeys(next(filter(None, match.groups()), "").strip(' `"*') for match in matches)
    return [words for words in found if words and not _NO_WORD.search(words)]
