"""The model card: the front matter of README.md and the Markdown below it.

Its author is not trusted. Front matter is read as YAML that has only texts, lists and mappings: no tags, no other types
(`license: no` is "no", not False), and no aliases, which make billions of nodes from a few lines. libyaml reads it, ten
times faster than PyYAML's own parser; the depth is limited first, because libyaml's composer uses the stack for it.
Nothing here raises: a card that cannot be read has an error text.
"""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import yaml

from crawler.card.bases_in_text import base_in_text
from crawler.card.document import Document
from crawler.card.markdown import parse_markdown
from crawler.text import stated_text
from workspace.errors import in_one_line
from workspace.printable import printable, printable_values
from workspace.size import text_of

#: Bytes of README.md at most; real cards have ten to fifty thousand.
MAX_CARD = 2**20
#: Characters of front matter at most; the largest real ones have about 50,000.
MAX_FRONT_MATTER = 200_000
#: Nested brackets, and nested mappings and lists, at most: quadratic time, and the stack.
MAX_NESTING = 100

# The Hub allows empty lines above it; `...` ends it too, as YAML says.
_FRONT_MATTER = re.compile(r"\A\ufeff?(?:[ \t]*\n)*---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*$", re.DOTALL | re.MULTILINE)
# The URL of a repository; authors write it where its id belongs.
_HUB_URL = re.compile(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/([\w.-]+/[\w.-]+)/?(?:tree/\w+/?)?", re.ASCII)
# An escape of half a character beyond the first 65,536, as JSON has them in pairs; libyaml refuses both.
_HALVES = re.compile(r"\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.ASCII | re.IGNORECASE)
_HALF = re.compile(r"\\u[d][89a-f][0-9a-f]{2}", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Card:
    """A model card; what cannot be read is empty."""

    #: Front matter; every scalar is text.
    metadata: Mapping[str, Any] = field(default_factory=dict)
    #: The Markdown below it.
    body: str = ""
    #: What is wrong with it; None: nothing.
    malformed: str | None = None

    @property
    def base_models(self) -> tuple[str, ...]:
        """The base models that its author names, without duplicates; usually repository ids.

        Where the front matter names none, it is the one that a sentence of the text links to.
        """
        return self._models("base_model") or self._base_in_text

    @property
    def priors(self) -> tuple[str, ...]:
        """The repositories of the prior that this decoder works with, as diffusers reads them, without duplicates."""
        return self._models("prior")

    def _models(self, key: str) -> tuple[str, ...]:
        stated = self.metadata.get(key)
        names = [stated_text(text) for text in (stated if isinstance(stated, list) else [stated])]
        return tuple(dict.fromkeys(_HUB_URL.sub(r"\1", name) for name in names if name is not None))

    @cached_property
    def _base_in_text(self) -> tuple[str, ...]:
        return base_in_text(self.document)

    @cached_property
    def document(self) -> Document:
        """The Markdown below the front matter, by sections."""
        return parse_markdown(self.body)


def read_card(content: bytes | None) -> Card:
    """Read the bytes of README.md (None: the repository has none). Never raises."""
    if content is None:
        return Card()
    if len(content) > MAX_CARD:
        return Card(malformed=f"README.md has more than {text_of(MAX_CARD)}")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        return Card(malformed=f"README.md is not UTF-8 (byte {error.start})")
    text = printable(text.replace("\r\n", "\n").replace("\r", "\n"))
    match = _FRONT_MATTER.match(text)
    if match is None:
        return Card(body=text)
    body = text[match.end() :]
    try:
        return Card(metadata=_front_matter(match[1]), body=body)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return Card(body=body, malformed=f"front matter of README.md: {in_one_line(error, named=False)}")


def _front_matter(text: str) -> dict[str, Any]:
    if len(text) > MAX_FRONT_MATTER:
        raise ValueError(f"{len(text)} characters, more than {MAX_FRONT_MATTER}")
    depths = itertools.accumulate(1 if char in "[{" else -1 for char in text if char in "[]{}")
    if max(depths, default=0) > MAX_NESTING:
        raise ValueError(f"more than {MAX_NESTING} nested brackets")
    text = _HALF.sub(r"\\ufffd", _HALVES.sub(_joined, text))
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CBaseLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_NESTING:
            raise ValueError(f"more than {MAX_NESTING} nested mappings and lists")
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("a YAML alias is not allowed")
    value = yaml.load(text, Loader=yaml.CBaseLoader)  # makes nothing but texts, lists and mappings
    if value in (None, ""):
        return {}
    if not isinstance(value, dict):
        raise ValueError("not a mapping")
    found: dict[str, Any] = printable_values({key: item for key, item in value.items() if isinstance(key, str)})
    return found


def _joined(pair: re.Match[str]) -> str:
    """The escape of the character that two halves are."""
    high, low = (int(half, 16) for half in pair.groups())
    return f"\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"
