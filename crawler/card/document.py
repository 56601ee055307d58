"""What a model card contains: sections with lines of text, tables and code. Made by `crawler/card/markdown.py`."""

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

_NO_LANGUAGE = frozenset({"", "text", "txt"})
# Markup in a block that displays it as it stands.
_MARKUP = re.compile(
    r"^[ \t>]*(?:[-*+][ \t]+|\d{1,2}[.)][ \t]+)?|\*\*+|(?<!\w)__(?=\S)|(?<=\S)__(?!\w)|</?[a-z]{1,10}/?>", re.IGNORECASE
)


@dataclass(frozen=True)
class Span:
    """A piece of a line, all of it in one style."""

    text: str
    code: bool = False
    bold: bool = False
    italic: bool = False
    #: The URL that it leads to.
    link: str | None = None


@dataclass(frozen=True)
class Line:
    """A line of text as its author broke it, without markup."""

    spans: tuple[Span, ...]

    @property
    def text(self) -> str:
        """The words, with inline code between backticks."""
        return _written(self.spans).strip()

    @property
    def emphasized(self) -> str:
        """The words, with inline code between backticks and what is bold or italic between two asterisks each."""
        runs = itertools.groupby(self.spans, key=lambda span: span.bold or span.italic)
        texts = ((_written(spans), emphasis) for emphasis, spans in runs)
        return "".join(_emphasis(text) if emphasis and text.strip() else text for text, emphasis in texts).strip()

    @property
    def is_bold(self) -> bool:
        """Whether all of it is bold, but for a colon behind it."""
        words = [span for span in self.spans if span.text.strip()]
        if words and not words[-1].bold and words[-1].text.strip() == ":":
            words.pop()
        return bool(words) and all(span.bold for span in words)


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    lines: tuple[Line, ...]
    in_list: bool = False


@dataclass(frozen=True)
class Table:
    """A table by rows; the first one is its header. Rows have as many cells as the header."""

    rows: tuple[tuple[Line, ...], ...]


@dataclass(frozen=True)
class Code:
    """A block of code, fenced or indented."""

    #: Lower case; empty where the author names none.
    language: str
    source: str

    def text(self) -> tuple[Line, ...]:
        """The lines of a block that is not code: it names no language, and authors put settings in it."""
        if self.language not in _NO_LANGUAGE or "import " in self.source:
            return ()
        plain = (_MARKUP.sub("", line) for line in self.source.split("\n"))
        return tuple(Line((Span(line),)) for line in plain if line.strip())


Block: TypeAlias = Text | Table | Code


@dataclass(frozen=True, eq=False)
class Heading:
    """A heading; two of the same words are two headings."""

    #: 1 to 6.
    level: int
    line: Line


@dataclass(frozen=True)
class Section:
    """The blocks below one heading, up to the next."""

    #: The heading and those above it, outermost first; empty before the first heading.
    headings: tuple[Heading, ...] = ()
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True)
class Document:
    """A card's Markdown; sections in their order."""

    sections: tuple[Section, ...] = ()
    #: Whether there is more than is read.
    cut: bool = False

    def code(self) -> Iterator[Code]:
        """The blocks of code, in order."""
        yield from (block for section in self.sections for block in section.blocks if isinstance(block, Code))

    def paragraphs(self) -> Iterator[tuple[Line, ...]]:
        """The lines of each heading, paragraph, row of a table and block in no language, in order."""
        for section in self.sections:
            if section.headings:
                yield (section.headings[-1].line,)
            for block in section.blocks:
                if isinstance(block, Text):
                    yield block.lines
                elif isinstance(block, Code):
                    yield block.text()
                elif isinstance(block, Table):
                    yield from block.rows

    def lines(self) -> Iterator[Line]:
        """The lines of all paragraphs, in order."""
        return itertools.chain.from_iterable(self.paragraphs())


def _written(spans: Iterable[Span]) -> str:
    return "".join(f"`{span.text}`" if span.code else span.text for span in spans)


def _emphasis(text: str) -> str:
    words = text.strip()
    return text.replace(words, f"**{words}**", 1)
