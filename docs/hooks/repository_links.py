"""A hook of mkdocs: links from the documentation into the source tree.

On a page that is read in the repository, `[crawler/catalog.py](../crawler/catalog.py)` opens the file. The site does
not contain the source, so there the link becomes plain text. A link to a file that does not exist stays, and fails
the build.
"""

import os
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((\.\./[^)#\s]+)(?:#[^)\s]*)?\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page's text with links to existing files outside of docs/ as plain text."""
    folder = (DOCS / page.file.src_uri).parent

    def as_text(match: re.Match[str]) -> str:
        target = Path(os.path.normpath(folder / match[2]))
        is_source = target.is_relative_to(ROOT) and not target.is_relative_to(DOCS) and target.exists()
        if not is_source:
            return match[0]
        text = match[1]
        return f"`{text}`" if (ROOT / text).exists() else text

    return _LINK.sub(as_text, markdown)
