"""Text of strangers made safe to show and to store: texts of repositories, cards, the Hub, weights and other libraries.

A lone surrogate (JSON and Python can write one) cannot be encoded as UTF-8: it ended a shard, a crawl or a table with a
traceback. A control character moves the cursor of a terminal, clears its screen or renames its window, and a mark of
direction shows a text in another order than it has. Each of them becomes U+FFFD, the replacement character, where the
text enters, and again where it is printed.
"""

import re
from typing import Any

#: What stands for a character that cannot be shown.
REPLACEMENT = "\ufffd"
# Control characters (Cc) except tab and newline; separators of lines and paragraphs, at which some readers of logs
# break a line; marks that override the direction of a text; surrogates; and two that are no characters.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def printable(text: str) -> str:
    """`text` with `REPLACEMENT` for each character that cannot be stored or shown, and plain newlines."""
    if _UNPRINTABLE.search(text) is None:
        return text
    return _UNPRINTABLE.sub(REPLACEMENT, text.replace("\r\n", "\n").replace("\r", "\n"))


def in_line(text: str) -> str:
    """`text` as one line: printable, and all white space a single space."""
    return " ".join(printable(text).split())


def printable_values(value: Any) -> Any:
    """A value of JSON whose texts, and names of fields, are printable; raises `RecursionError` for a very deep one."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [printable_values(item) for item in value]
    if isinstance(value, dict):
        return {printable_values(name): printable_values(item) for name, item in value.items()}
    return value
