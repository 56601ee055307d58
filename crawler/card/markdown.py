"""Markdown of a model card as plain data: sections with lines of text, tables and code.

markdown-it-py finds the blocks (CommonMark and the tables of GitHub) and the inline markup. Everything else of Markdown
is dropped: the other modules of this folder need the words, cells and code, not the way they are displayed.
HTML is treated as authors use it: tags of blocks end a line, `<h2>` is a heading, comments, scripts and styles are
skipped. A fence is found inside HTML too, where a browser would show its backticks.

Authors are not trusted: the number of characters, the length of a line and the depth of nesting are limited, so that
time and memory are bounded; where there is more, `Document.cut` says so. Nothing here raises.
"""

import itertools
import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, html_block
from markdown_it.token import Token

from crawler.card.document import Block, Code, Document, Heading, Line, Section, Span, Table, Text

#: Characters of a card that are read at most. Real cards have ten to fifty thousand.
MAX_BODY = 2**17
#: Characters of a line at most, images as base64 aside; longer ones (tables of thousands of columns) are skipped.
MAX_LINE = 5000
#: Lines with words that are read at most; the longest real card of a diffusers model has 3,201 lines.
MAX_LINES = 8000
#: Containers (lists, quotes) inside each other at most.
MAX_NESTING = 20
# Characters whose inline markup is parsed together: some of its rules take quadratic time.
_MAX_INLINE = 8000
# Opening brackets among these; with more, they are no links. Looking for the ends of all takes quadratic time.
_MAX_BRACKETS = 500
# A sentence underlined with dashes is a paragraph above a rule; so are several lines.
_MAX_UNDERLINED = 80

# An image inside the card.
_BASE64 = re.compile(r"(?<=;base64,)[A-Za-z0-9+/=]+")
_SKIPPED_HTML = re.compile(r"<(?:!--|(?:script|style)\b)", re.IGNORECASE)
_FENCE = re.compile(r"^\s*(?:```|~~~)", re.MULTILINE)
_LANGUAGE = re.compile(r"[\s{.]*([\w+#-]*)")
_DASHES = re.compile(r"\s*:?-*:?\s*")
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)(?![A-Za-z0-9-])")
_WORD = re.compile(r"<[A-Za-z][A-Za-z0-9-]*>")
_HTML_HEADINGS = {f"h{level}": level for level in range(1, 7)}
# Tags that begin or end a line of text, and those inside one. Others without attributes (`<cat-toy>`) are words.
_BLOCK_TAG = re.compile(
    "article|aside|blockquote|body|br|center|d[dlt]|details|div|figcaption|figure|footer|head|header|hr|html|li|main|nav"
    "|[ou]l|p|pre|section|summary|table|tbody|t[dhr]|thead|title"
)
_INLINE_TAG = re.compile(
    "a|abbr|audio|b|big|button|code|del|em|font|i|iframe|img|input|ins|kbd|label|mark|picture|s|small|source|span"
    "|link|meta|strike|strong|su[bp]|svg|tt|u|var|video|wbr"
)


def parse_markdown(body: str) -> Document:
    """Read Markdown; what is beyond `MAX_BODY` characters or `MAX_LINES` lines is not read."""
    reader = _Reader()
    lines = body.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines = [line if len(line) <= MAX_LINE else _BASE64.sub("", line) for line in lines]
    written = sum(bool(line.strip()) for line in lines)
    reader.cut = written > MAX_LINES or any(len(line) > MAX_LINE for line in lines)
    numbers = itertools.accumulate(bool(line.strip()) for line in lines)
    lines = [line for line, number in zip(lines, numbers, strict=True) if number <= MAX_LINES]
    text = "\n".join(line if len(line) <= MAX_LINE else "" for line in lines)
    if len(text) > MAX_BODY:
        text, reader.cut = text[:MAX_BODY].rpartition("\n")[0], True
    reader.read(text)
    return Document(tuple(reader.sections()), reader.cut)


@dataclass
class _Reader:
    """Collects blocks below headings."""

    #: Whether there is more than is read.
    cut: bool = False
    _sections: list[tuple[tuple[Heading, ...], list[Block]]] = field(default_factory=lambda: [((), [])])

    def sections(self) -> Iterator[Section]:
        for headings, blocks in self._sections:
            if headings or blocks:
                yield Section(headings, tuple(blocks))

    def read(self, text: str, nested: bool = False) -> None:
        try:
            tokens = _parser().parse(text)
        except RecursionError:
            self.cut = True
            return
        self.cut |= any(token.level >= MAX_NESTING - 1 for token in tokens)
        in_lists = 0
        rows: list[list[Line]] = []
        for token, following in itertools.zip_longest(tokens, tokens[1:]):
            content = following.content if following is not None else ""
            match token.type:
                case "list_item_open":
                    in_lists += 1
                case "list_item_close":
                    in_lists -= 1
                case "heading_open":
                    self._heading(int(token.tag[1]), content, underlined=token.markup in ("-", "="))
                case "paragraph_open":
                    self._text(content, in_lists > 0)
                case "fence":
                    self._add(Code(_language(token.info), token.content))
                case "code_block" if not nested and _FENCE.match(token.content):
                    self.read(textwrap.dedent(token.content), nested=True)
                case "code_block" if not nested and _TAG.match(token.content.lstrip()):
                    self.read("\n".join(line.strip() for line in token.content.split("\n")), nested=True)
                case "code_block":
                    self._add(Code("", token.content))
                case "html_block":
                    self._text(token.content.partition("-->")[2], in_lists > 0)
                case "tr_open":
                    rows.append([])
                case "th_open" | "td_open":
                    rows[-1].append(_joined(line for _, line in _lines(content)))
                case "table_close":
                    self._add(Table(tuple(map(tuple, rows))))
                    rows = []

    def _add(self, block: Block) -> None:
        self._sections[-1][1].append(block)

    def _start_section(self, level: int, line: Line) -> None:
        above = tuple(heading for heading in self._sections[-1][0] if heading.level < level)
        self._sections.append(((*above, Heading(level, line)), []))

    def _heading(self, level: int, content: str, underlined: bool) -> None:
        if underlined and ("\n" in content or len(content) > _MAX_UNDERLINED or content.endswith(".")):
            self._text(content, in_list=False)
        else:
            self._start_section(level, _joined(line for _, line in _lines(content)))

    def _text(self, content: str, in_list: bool) -> None:
        source = content.split("\n")
        if all(line.startswith("|") for line in source):
            self._add(Table(tuple(_bare_rows(source))))
            return
        lines: list[Line] = []
        for level, line in _lines(content):
            if level == 0:
                lines.append(line)
                continue
            if lines:
                self._add(Text(tuple(lines), in_list))
                lines = []
            self._start_section(level, line)
        if lines:
            self._add(Text(tuple(lines), in_list))


def _bare_rows(source: list[str]) -> Iterator[tuple[Line, ...]]:
    """The rows of a table that Markdown does not take for one: its line of dashes is missing, or too short."""
    for row in source:
        cells = row.strip().strip("|").split("|")
        if not all(_DASHES.fullmatch(cell) for cell in cells):
            yield tuple(_joined(line for _, line in _lines(cell)) for cell in cells)


def _lines(content: str) -> Iterator[tuple[int, Line]]:
    """The lines of a paragraph that have words, each with its level as an HTML heading (0: it is none)."""
    for chunk in _chunks(content):
        if chunk.count("[") > _MAX_BRACKETS:
            chunk = chunk.replace("[", "\\[")
        try:
            tokens = _parser().inline.parse(chunk, _parser(), {}, [])
        except RecursionError:  # images inside images inside images
            yield from ((0, Line((Span(line),))) for line in chunk.split("\n") if line.strip())
            continue
        yield from _split_at_breaks(tokens)


def _chunks(content: str) -> Iterator[str]:
    lines: list[str] = []
    size = 0
    for line in content.split("\n"):
        if size + len(line) > _MAX_INLINE:
            yield "\n".join(lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line) + 1
    yield "\n".join(lines)


def _split_at_breaks(tokens: list[Token]) -> Iterator[tuple[int, Line]]:
    spans: list[Span] = []

    def add(text: str, is_code: bool) -> None:
        spans.append(Span(text, is_code, bold > 0, italic > 0, link))

    bold = italic = code = level = 0
    link: str | None = None
    for token in tokens:
        ends, following_level = token.type in ("softbreak", "hardbreak"), 0
        match token.type:
            case "text" | "text_special":
                add(token.content, code > 0)
            case "code_inline":
                add(token.content, True)
            case "strong_open" | "strong_close":
                bold += token.nesting
            case "em_open" | "em_close":
                italic += token.nesting
            case "link_open":
                link = str(token.attrs.get("href", ""))
            case "link_close":
                link = None
            case "html_inline":
                tag = _TAG.match(token.content)
                name = tag[2].lower() if tag is not None else ""
                step = -1 if tag is not None and tag[1] else 1
                if name in ("b", "strong"):
                    bold += step
                elif name in ("i", "em"):
                    italic += step
                elif name in ("code", "tt"):
                    code += step
                elif name in _HTML_HEADINGS:
                    ends, following_level = True, _HTML_HEADINGS[name] if step > 0 else 0
                elif _BLOCK_TAG.fullmatch(name):
                    ends, following_level = True, level
                elif not _INLINE_TAG.fullmatch(name) and _WORD.fullmatch(token.content):
                    add(token.content, code > 0)
        if ends:
            if any(span.text.strip() for span in spans):
                yield level, Line(tuple(spans))
            spans = []
            level = following_level if token.type == "html_inline" else level
    if any(span.text.strip() for span in spans):
        yield level, Line(tuple(spans))


def _joined(lines: Iterable[Line]) -> Line:
    spans: list[Span] = []
    for line in lines:
        spans += [*([Span(" ")] if spans else []), *line.spans]
    return Line(tuple(spans))


def _language(info: str) -> str:
    match = _LANGUAGE.match(info)
    return match[1].lower() if match is not None else ""


@cache
def _parser() -> MarkdownIt:
    """Parses blocks; inline markup is parsed where it is needed."""
    parser = MarkdownIt("commonmark", {"maxNesting": MAX_NESTING}).enable("table")
    parser.disable(["reference", "inline", "text_join"])
    parser.block.ruler.at("html_block", _skipped_html, {"alt": ["paragraph", "reference", "blockquote"]})
    # Its tables of rules are built at first use, which several threads must not do at once.
    parser.inline.parse(" ", parser, {}, [])
    parser.parse(" ")
    return parser


def _skipped_html(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Comments, scripts and styles are blocks; other HTML is text with tags in it."""
    begin = state.bMarks[start] + state.tShift[start]
    return _SKIPPED_HTML.match(state.src, begin, state.eMarks[start]) is not None and html_block(
        state, start, end, silent
    )
