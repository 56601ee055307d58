"""Captions of a data set: in a text file, in a JSON object, in a row of a table. All are kept, uncleaned.

A value that is no text (null, a number) is dropped here, and counted; what a text is, is decided when it is cleaned.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from captioning.caption_text import DropReason

CAPTION_NAMES = ("captions", "caption", "text", "sentences", "sentences_raw", "raw", "txt")
"""Names of JSON keys and columns with captions, in upper or lower case (LAION's is TEXT, a WebDataset's that the Hub
converted to Parquet is txt); the first found counts. They
are also looked for in the objects of a list: `sentences: [{"raw": ...}]`."""

CAPTION_BYTES = 1 << 20
"""Bytes of a caption file that are read at most; a longer file holds no caption."""

UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
"""What a text in UTF-16 begins with."""

_TEXT_BYTES = 65536
#: Lines of a text file with captions; a longer one is a text of another kind.
_MOST_LINES = 100
#: Objects and lists in each other; deeper ones are no captions.
_DEPTH = 3


@dataclass(frozen=True)
class Captions:
    """The captions of an image, and why other values in their place are none."""

    texts: tuple[str, ...] = ()
    dropped: tuple[DropReason, ...] = ()

    def __add__(self, other: "Captions") -> "Captions":
        return Captions.joined((self, other))

    @classmethod
    def joined(cls, parts: "Sequence[Captions]") -> "Captions":
        """All captions of one image: each is copied once, however many there are."""
        return cls(tuple(t for one in parts for t in one.texts), tuple(d for one in parts for d in one.dropped))


def captions_in_text(content: bytes) -> Captions:
    """A caption a line, or several with tabs between them. Bytes that are not UTF-8 (or UTF-16 with its mark) become
    U+FFFD, and cleaning drops such a caption: a generated one is better than a garbled one."""
    content = content[:_TEXT_BYTES]
    is_utf16 = content[:2] in UTF_16_MARKS
    text = content.decode("utf-16" if is_utf16 else "utf-8-sig", errors="replace")
    lines = [part for line in text.splitlines() for part in line.split("\t") if part.strip()]
    if len(lines) > _MOST_LINES:
        return Captions((), ("too-long",))
    return Captions(tuple(lines), () if lines else ("empty",))


def json_object(content: bytes) -> dict[str, Any]:
    """A JSON object; empty if it is anything else."""
    try:
        value = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def captions_in_row(row: dict[str, Any], name: str | None = None) -> Captions:
    """The captions in a row: those in `name`, or under the first of `CAPTION_NAMES`."""
    name = caption_name(row, name)
    return captions_in_value(row[name]) if name is not None else Captions()


def captions_in_value(value: Any, depth: int = _DEPTH) -> Captions:
    """A text is a caption, a list several, an object the one under a name for captions; nothing else is one."""
    if isinstance(value, str):
        return Captions((value,))
    if value is None:
        return Captions((), ("empty",))
    if isinstance(value, list) and depth:
        return Captions.joined([captions_in_value(inner, depth - 1) for inner in value])
    if isinstance(value, dict) and depth:
        name = caption_name(value)
        if name is not None:
            return captions_in_value(value[name], depth - 1)
    return Captions((), ("not-text",))


def caption_name(names: Iterable[str], wanted: str | None = None) -> str | None:
    """Which of some names is that of the captions: `wanted`, or the first of `CAPTION_NAMES`; None: none is."""
    if wanted is not None:
        return wanted if wanted in names else None
    by_lower_case = {str(name).lower(): name for name in names}
    return next((by_lower_case[name] for name in CAPTION_NAMES if name in by_lower_case), None)
