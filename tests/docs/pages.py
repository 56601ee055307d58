"""The documentation as text: its pages, their code blocks, links and headings."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

#: Lines of code blocks: indented by four spaces or more, or between fences.
_FENCE = re.compile(r"^\s*```(\w*)")
_INDENTED = re.compile(r"^( {4,}|\t)\S")


def pages() -> list[Path]:
    """All pages that people read: the site's, and those at the root."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def fenced(page: Path, language: str) -> list[str]:
    """The code blocks of a language that stand between fences."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def shell_lines(page: Path) -> list[str]:
    """The lines of all code blocks but Python's, without comments, a line that goes on joined."""
    lines, language = [], None
    for line in page.read_text().splitlines():
        fence = _FENCE.match(line)
        if fence:
            language = fence[1] or "text" if language is None else None
        elif (language is not None and language != "python") or (language is None and _INDENTED.match(line)):
            lines.append(line.strip())
    joined = "\n".join(lines).replace("\\\n", " ")
    return [without for line in joined.splitlines() if (without := re.sub(r"(^|\s)#.*", "", line).strip())]


def inline_code(page: Path) -> list[str]:
    """What stands between single backticks outside of code blocks."""
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", _prose(page))


def links(page: Path) -> Iterator[tuple[str, str]]:
    """The relative links of a page, and pictures: path and anchor, either of which may be empty."""
    prose = _prose(page)
    targets = re.findall(r"\]\(([^)\s]+)\)", prose) + re.findall(r'<img src="([^"]+)"', prose)
    for target in targets:
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield path, anchor


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as both GitHub and the site make them."""
    headings = re.findall(r"^#+ (.*)$", _prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def table_codes(page: Path, heading: str) -> list[str]:
    """The code in the first column of each row of the tables below a heading."""
    section = re.split(r"^## ", page.read_text(), flags=re.MULTILINE)
    (text,) = (part for part in section if part.startswith(f"{heading}\n"))
    return re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)


def _prose(page: Path) -> str:
    kept, inside = [], False
    for line in page.read_text().splitlines():
        if _FENCE.match(line):
            inside = not inside
        elif not inside and not line.startswith("    "):
            kept.append(line)
    return "\n".join(kept)
