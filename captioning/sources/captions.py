"""Captions as they lie beside images: in a text, in a JSON object, in a row. All of them are kept, as they stand."""

import json
from collections.abc import Iterable
from typing import Any

CAPTION_NAMES = ("captions", "caption", "text", "sentences", "sentences_raw")
"""Names under which captions stand in a JSON object or a row, in any case (LAION's is TEXT); the first one counts."""

CAPTION_BYTES = 1 << 20
"""Read of a caption file at most; no caption is as long, so a longer file is a broken one."""


def captions_in_text(content: bytes) -> tuple[str, ...]:
    """The caption that is the text. What is not UTF-8 becomes U+FFFD, which cleaning refuses: no caption is better than
    a garbled one."""
    return (content[:65536].decode("utf-8-sig", errors="replace"),)


def captions_in_json(content: bytes) -> tuple[str, ...]:
    """The captions in a JSON object; none where it is not one, or says nothing of captions."""
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
    """Under which of some names captions stand; None: under none."""
    by_lower_case = {str(name).lower(): name for name in names}
    return next((by_lower_case[name] for name in CAPTION_NAMES if name in by_lower_case), None)
