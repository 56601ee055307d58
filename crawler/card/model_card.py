"""The model card: README.md's front matter and its prose, written by strangers.

Front matter is read as YAML in which everything is text, a list or a mapping: no tags, no type guessing (`license:
no` is "no", not False), no aliases, which a few lines can make into billions of nodes. What cannot be read is
said, never guessed at, and never raises.
"""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import yaml

from crawler.card.document import Document
from crawler.card.markdown import parse_markdown
from crawler.text import stated_text, whole
from workspace.errors import in_one_line

#: Bytes of README.md read at most; the cards of popular models have ten to fifty thousand.
MAX_CARD = 2**20
#: Characters of front matter at most: the largest real ones list thousands of samples in about 50,000.
MAX_FRONT_MATTER = 200_000

#: Flow brackets open at once at most: PyYAML's time grows with the square of them.
MAX_NESTING = 100

_FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_HUB_ID = r"[A-Za-z0-9][\w.-]*/[\w.-]+"
_HUB_URL = re.compile(rf"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/({_HUB_ID})/?(?:tree/\w+/?)?", re.ASCII)


@dataclass(frozen=True)
class Card:
    """A model card, as far as it could be read."""

    #: Front matter; every scalar is text.
    metadata: Mapping[str, Any] = field(default_factory=dict)
    #: The Markdown below it.
    body: str = ""
    #: What is wrong with it, in words; None: nothing.
    malformed: str | None = None

    @property
    def base_models(self) -> tuple[str, ...]:
        """Repository ids (or whatever the author wrote) this model was made from, each once."""
        stated = self.metadata.get("base_model")
        names = [stated_text(text) for text in (stated if isinstance(stated, list) else [stated])]
        return tuple(dict.fromkeys(_HUB_URL.sub(r"\1", name) for name in names if name is not None))

    @cached_property
    def document(self) -> Document:
        """The Markdown below the front matter, by sections."""
        return parse_markdown(self.body)


def read_card(content: bytes | None) -> Card:
    """Read README.md (None: there is none). Never raises."""
    if content is None:
        return Card()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        return Card(malformed=f"README.md is not UTF-8 (byte {error.start})")
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
        raise ValueError(f"has {len(text)} characters, more than {MAX_FRONT_MATTER}")
    depths = itertools.accumulate(1 if char in "[{" else -1 for char in text if char in "[]{}")
    if max(depths, default=0) > MAX_NESTING:
        raise ValueError(f"has more than {MAX_NESTING} brackets open at once")
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.BaseLoader)):
        raise ValueError("uses a YAML alias")
    value = yaml.load(text, Loader=yaml.BaseLoader)  # text, lists and mappings only: it can construct nothing else
    if value in (None, ""):
        return {}
    if not isinstance(value, dict):
        raise ValueError("is no mapping")
    return {key: item for key, item in whole(list(value.items())) if isinstance(key, str)}
