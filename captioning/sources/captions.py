"""Captions of a data set: in a text file, in a JSON object, in a row of a table. All are kept, uncleaned."""

import json
from collections.abc import Iterable
from typing import Any

CAPTION_NAMES = ("captions", "caption", "text", "sentences", "sentences_raw")
"""Names of JSON keys and columns with captions, in upper or lower case (LAION's is TEXT); the first found counts."""

CAPTION_BYTES = 1 << 20
"""Bytes of a caption file that are read at most; a longer file holds no caption."""


def captions_in_text(content: bytes) -> tuple[str, ...]:
    """The text as one caption. Bytes that are not UTF-8 become U+FFFD, and cleaning drops such a caption: a generated
    one is better than a garbled one."""
    return (content[:65536].decode("utf-8-sig", errors="replace"),)


def captions_in_json(content: bytes) -> tuple[str, ...]:
    """The captions in a JSON object; none if it is not an object or has no captions."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return ()
    return captions_in_row(value) if isinstance(value, dict) else ()


def captions_in_row(row: dict[str, Any]) -> tuple[str, ...]:
    """The captions in a row: a text or a list of texts under one of `CAPTION_NAMES`."""
    name = caption_name(row)
    value = row[name] if name is not None else None
    if isinstance(value, str):
        return (value,)
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()


def caption_name(names: Iterable[str]) -> str | None:
    """Which of some names is that of the captions; None: none is."""
    by_lower_case = {str(name).lower(): name for name in names}
    return next((by_lower_case[name] for name in CAPTION_NAMES if name in by_lower_case), None)
