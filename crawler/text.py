"""Text of strangers that can be written down.

JSON, YAML and Python can all spell half a character (a lone surrogate, `"\\ud800"`), which no UTF-8 file holds: the
catalogue could not be written because of one model's card. Such halves become question marks where text comes in.
"""

import json
from typing import Any


def load_json(content: bytes) -> Any:
    """Read JSON; raises `ValueError` or `RecursionError` as `json.loads` does."""
    value = json.loads(content)
    return whole(value) if b"\\ud" in content or b"\\uD" in content else value


def whole(value: Any) -> Any:
    """A JSON value whose texts UTF-8 can hold."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
