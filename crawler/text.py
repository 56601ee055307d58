"""Text from outside: JSON, Python source that is parsed and never run, and values in front matter.

JSON, YAML and Python can contain a lone surrogate (`"\\ud800"`), which UTF-8 cannot encode: because of one such card
the catalogue could not be written. Lone surrogates become question marks when text is read.
"""

import ast
import json
import re
import threading
from typing import Any, TypeAlias

#: A literal in Python source or JSON.
Scalar: TypeAlias = bool | int | float | str | None
#: A literal argument of a call; it can be written as JSON.
Plain: TypeAlias = Scalar | list[Scalar]

_NUMBER = re.compile(r"-?\d{1,12}(?:\.\d{0,12})?(?:[eE][+-]?\d{1,2})?", re.ASCII)
# What authors write for "no value", in YAML and in Python.
_NOTHING = frozenset({"", "~", "null", "none"})

# Python 3.11 counts the depth of a syntax tree for all threads together and fails if two of them parse at the same time
# ("AST constructor recursion depth mismatch", CPython issue 106905).
_PARSER_LOCK = threading.Lock()


def load_json(content: bytes) -> Any:
    """Parse JSON; raises `ValueError` or `RecursionError` as `json.loads` does."""
    value = json.loads(content)
    return without_surrogates(value) if b"\\ud" in content or b"\\uD" in content else value


def stated_text(value: Any) -> str | None:
    """A text without surrounding spaces; None for other types and for a text that means no value (null, None, ~)."""
    text = value.strip() if isinstance(value, str) else ""
    return text if text.lower() not in _NOTHING else None


def literal(text: str) -> Scalar:
    """The number or truth value that a scalar of YAML stands for, else the text itself without surrounding spaces."""
    text = text.strip()
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if not _NUMBER.fullmatch(text):
        return text
    return float(text) if {".", "e", "E"} & set(text) else int(text)


def without_surrogates(value: Any) -> Any:
    """A JSON value whose texts can be encoded as UTF-8."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def parse_python(source: str | bytes) -> ast.Module:
    """The syntax tree of Python source; may be called from any thread. Raises as `ast.parse` does."""
    with _PARSER_LOCK:
        return ast.parse(source)
