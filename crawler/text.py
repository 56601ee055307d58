"""Text from outside: JSON, Python source that is parsed and never run, and values in front matter.

Escapes in JSON, YAML and Python can name a lone surrogate (`"\\ud800"`), which UTF-8 cannot encode, and control
characters. What is read is made printable (`workspace/printable.py`) where it enters, here and in the card's readers.
"""

import ast
import json
import re
import threading
from typing import Any, TypeAlias

from workspace.printable import printable_values

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
    """Parse JSON, with printable texts; raises `ValueError` or `RecursionError` as `json.loads` does."""
    return printable_values(json.loads(content))


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


def parse_python(source: str | bytes) -> ast.Module:
    """The syntax tree of Python source; may be called from any thread. Raises as `ast.parse` does."""
    with _PARSER_LOCK:
        return ast.parse(source)
