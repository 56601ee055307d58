"""JSON of strangers: its values take up to fifty times the memory of its text, so their number is limited."""

import json
from typing import Any

#: Values at most: a gigabyte of memory. The largest document that is known (Karpathy's split of COCO) has half as many.
MOST_VALUES = 32_000_000
#: What stands between values, and how many small values take as much memory as what it begins.
_MARKS = {",": 1, ":": 1, "[": 1, "{": 4}


def load_json(text: str | bytes | bytearray, most: int = MOST_VALUES) -> Any:
    """Parse JSON; raises `ValueError` (also for more than `most` values) and `RecursionError` as `json.loads` does."""
    # A mark in a text counts too: then a document is taken for a little larger than it is.
    if isinstance(text, str):
        values = sum(weight * text.count(mark) for mark, weight in _MARKS.items())
    else:
        values = sum(weight * text.count(mark.encode()) for mark, weight in _MARKS.items())
    if values > most:
        raise ValueError(f"more than {most:,} values")
    return json.loads(text)
