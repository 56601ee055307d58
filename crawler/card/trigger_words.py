"""Trigger words: what a model card says must be in the prompt for the model to work.

Front matter comes first (`instance_prompt`), then the sentences that training scripts and importers write, then those
in which authors put it themselves, and last the title of notebooks that write the concept nowhere else. Words that the
author calls optional are no trigger words, and neither is a text that only looks like one of these sentences. A card
that gives different words in different places, each for another file or concept, gives none.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

from crawler.card import trigger_sentences as sentences
from crawler.card.document import Code, Document, Section, Text
from crawler.card.markdown import MAX_BODY
from crawler.card.model_card import Card
from crawler.text import stated_text

#: Characters at most of the words that a concept becomes; real ones have a few tens.
MAX_STATED = 10_000
#: Characters around a sentence in which an author can say that its words are optional.
_AROUND = 60
_MARKS = " \t`\"'*“”{}.,;:!"


def read_trigger_words(card: Card) -> str | None:
    """The trigger words that a card gives; several are joined by commas. None: it gives none."""
    stated = stated_text(card.metadata.get("instance_prompt"))
    if stated is not None:
        return _with_tokens(stated, card.body[:MAX_BODY])
    paragraphs = list(_paragraphs(card.document))
    for words in (_machine(paragraphs), _stated(card.document), _hand(paragraphs), _titled(paragraphs)):
        if words is not None:
            return ", ".join(words) or None
    return None


def _with_tokens(stated: str, body: str) -> str:
    """The words with the tokens of embeddings (pivotal tuning) where they name the concept."""
    for concept, tokens in dict.fromkeys(sentences.CONCEPT.findall(body)):
        # Tokens that hold their own concept make the text longer every time.
        if tokens not in stated and len(stated) <= MAX_STATED:
            stated = tokens.join(re.split(rf"(?<!\w){re.escape(concept)}(?!\w)", stated))
    return stated


def _paragraphs(document: Document) -> Iterator[list[str]]:
    """The lines of each paragraph."""
    for lines in document.paragraphs():
        yield [line.emphasized for line in lines]


def _machine(paragraphs: list[list[str]]) -> list[str] | None:
    text = "\n".join(map(" ".join, paragraphs))
    for pattern in _present(sentences.MACHINE, text):
        words = _words(match.groups() for match in pattern.finditer(text))
        if words:
            return words
    if sentences.USE_THAT.search(text) is None:
        return None
    lines = (sentences.USE_THAT.split(line)[:-1] for lines in paragraphs for line in lines)
    return _words((before,) for line in lines for before in line) or None


def _hand(paragraphs: list[list[str]]) -> list[str] | None:
    text = "\n".join(text for text in map(" ".join, paragraphs) if sentences.HINT.search(text))
    for pattern in _present(sentences.HAND, text):
        found: dict[int, list[str]] = {}
        for match in pattern.finditer(text):
            if not _is_optional(text, match.start(), match.end()):
                found.setdefault(text.count("\n", 0, match.start()), []).extend(_words([match.groups()]))
        if any(found.values()):
            return _agreed(found.values())
    return None


def _present(kinds: Iterable[sentences.Sentence], text: str) -> Iterator[re.Pattern[str]]:
    lower = text.lower()
    return (kind.pattern for kind in kinds if any(needle in lower for needle in kind.needles))


def _agreed(found: Iterable[list[str]]) -> list[str]:
    """The words, where all places that give some give the same; else none."""
    given = [list(dict.fromkeys(words)) for words in found if words]
    if not given:
        return []
    first = set(given[0])
    return given[0] if first.issuperset(itertools.chain.from_iterable(given)) else []


def _is_optional(text: str, start: int, end: int) -> bool:
    """Whether the words before or after a sentence's part say that it may be left out."""
    before = text[max(0, start - _AROUND) : start]
    before = before[max(before.rfind(mark) for mark in (". ", "! ", "? ", "; ", ": ", "\n")) + 1 :]
    after = text[end : end + _AROUND].partition("\n")[0]
    if sentences.NOT_NEEDED.search(before) or sentences.OPTIONAL.match(after):
        return True
    purpose = sentences.PURPOSE.search(before) or sentences.GOOD_FOR.match(after)
    return purpose is not None and not sentences.NEEDED.search(before + text[start:end] + after)


def _stated(document: Document) -> list[str] | None:
    """Statements on lines of their own, by section."""
    found = [list(_stated_in(section)) for section in document.sections]
    return _agreed(found) if any(found) else None


def _stated_in(section: Section) -> Iterator[str]:
    label = bool(section.headings) and sentences.LABEL.match(section.headings[-1].line.text) is not None
    for block in section.blocks:
        if not isinstance(block, Text | Code):
            continue
        for line in block.text() if isinstance(block, Code) else block.lines:
            if any(span.link is not None for span in line.spans):
                label = False  # in a table of contents
                continue
            begins = sentences.BEGINS.match(next((span.text for span in line.spans if span.text.strip()), ""))
            match = sentences.STATEMENT.match(line.emphasized) if begins is not None else None
            if match is None and label:
                match = sentences.ALONE.match(line.emphasized)
            if match is not None:
                yield from _words([match.groups()])
            label = match is None and begins is not None and sentences.LABEL.match(line.text) is not None


def _titled(paragraphs: list[list[str]]) -> list[str] | None:
    matches = (sentences.TITLE.match(line.replace("**", "")) for lines in paragraphs[:3] for line in lines)
    title = next(filter(None, matches), None)
    if title is None:
        return None
    pictured = (sentences.PICTURED.match(line) for lines in paragraphs for line in lines)
    return _words([next(filter(None, pictured), title).groups()]) or None


def _words(matches: Iterable[Sequence[str | None]]) -> list[str]:
    """What the groups of matches name, each once; the first group of each that is not empty."""
    found: dict[str, None] = {}
    for groups in matches:
        text = next(filter(None, groups), "")
        marked = sentences.MARKED.findall(text)
        # An asterisk that is left belongs to a run that began before the words.
        for piece in marked if len(marked) > 1 else [text.rpartition("**")[2] if text.count("**") == 1 else text]:
            words = sentences.OR.sub(", ", piece.strip(_MARKS))
            if words and not sentences.NO_WORD.search(words):
                found[words] = None
    return list(found)
