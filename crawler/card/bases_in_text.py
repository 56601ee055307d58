"""The base model that a sentence of the card links to: "fine-tuned from [Name](https://huggingface.co/ORG/NAME)"."""

import re

from crawler.card.document import Document, Line
from workspace.repo_id import is_repo_id

_REPOSITORY = re.compile(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/([\w.-]+/[\w.-]+)/?$", re.ASCII)
# Pages of the Hub that look like a repository of models.
_OTHER_PAGES = ("datasets/", "spaces/", "docs/", "papers/", "blog/", "collections/", "models/", "posts/", "join/")
# What is written before the link; data sets are trained on, too, so that "trained on" says nothing.
_MADE_FROM = re.compile(
    r"\b(?:(?:fine[- ]?tun(?:ed?|ing)|distill(?:ed|ation)|derived)(?: version| model)?[ *_]+(?:from|on|of|upon)"
    r"|fine[- ]?tunes|LoRA(?: adapt(?:ion|ation))? weights (?:for|of))"
    r"(?:[ *_]+(?:the|model|base|pre-?trained|checkpoint))*(?: \[optional\])?[ :*_`\"']*$",
    re.IGNORECASE,
)
#: Characters before a link that are looked at.
_BEFORE = 80


def base_in_text(document: Document) -> tuple[str, ...]:
    """The repository that the first such sentence names; empty: there is none."""
    for lines in document.paragraphs():
        for line in lines:
            if len(line.spans) > 1 and any(span.link is not None for span in line.spans):
                base = _base_in(line)
                if base is not None:
                    return (base,)
    return ()


def _base_in(line: Line) -> str | None:
    before = ""
    for span in line.spans:
        match = _REPOSITORY.match(span.link) if span.link is not None else None
        if match is not None and _is_model(match[1]) and _MADE_FROM.search(before[-_BEFORE:]):
            return match[1]
        before = before[-_BEFORE:] + span.text
    return None


def _is_model(repository: str) -> bool:
    return is_repo_id(repository) and not repository.startswith(_OTHER_PAGES)
