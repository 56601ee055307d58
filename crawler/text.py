"""Text that comes from outside: JSON that can be written down, and Python that is read and never run.

JSON, YAML and Python can all spell half a character (a lone surrogate, `"\\ud800"`), which no UTF-8 file holds: the
catalogue could not be written because of one model's card. Such halves become question marks where text comes in.
"""

import ast
import json
import threading
from typing import Any, TypeAlias

#: A plain value of Python source or JSON.
Scalar: TypeAlias = bool | int | float | str | None
#: What a literal argument of a call may be; it can be written as JSON.
Plain: TypeAlias = Scalar | list[Scalar]

# What authors write for "nothing", in YAML and in Python.
_NOTHING = frozenset({"", "~", "null", "none"})

# Python 3.11 counts the depth of a syntax tree for all threads together, and fails where two of them build one at the
# same time ("AST constructor recursion depth mismatch", CPython's issue 106905).
_PARSING = threading.Lock()


def load_json(content: bytes) -> Any:
    """Read JSON; raises `ValueError` or `RecursionError` as `json.loads` does."""
    value = json.loads(content)
    return whole(value) if b"\\ud" in content or b"\\uD" in content else value


def stated_text(value: Any) -> str | None:
    """A text without space around it; None for another type, and for a word that means nothing (null, None, ~)."""
    text = value.strip() if isinstance(value, str) else ""
    return text if text.lower() not in _NOTHING else None


def whole(value: Any) -> Any:
    """A JSON value whose texts UTF-8 can hold."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def parse_python(source: str | bytes) -> ast.Module:
    """The syntax tree of Python source, in any thread; raises as `ast.parse` does."""
    with _PARSING:
        return ast.parse(source)
