"""What is a text but no caption: numbers, labels of a detector, the words that programs write for "no value".

Files named like captions hold all of these: `a.txt` beside `a.jpg` is a caption for some and YOLO's boxes for others,
and a table that was written by a program has `nan` where a caption is missing.
"""

import re
from typing import Literal

DropReason = Literal["empty", "no-words", "placeholder", "labels", "list", "not-text", "garbled", "too-long"]

#: What pandas, Python, JavaScript and SQL write where there is no value.
_PLACEHOLDERS = frozenset(
    [
        *("none", "null", "nil", "nan", "-nan", "na", "n/a", "#n/a", "#na", "#n/a n/a", "<na>", "nat", "undefined"),
        *("true", "false", "inf", "-inf", "infinity", "-infinity", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
        *("[]", "{}", "()", "[none]", "[null]", "[nan]", "(no caption)", "no caption"),
    ]
)
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
#: A list or an object as Python and JSON write them: ["a dog", "a cat"], {'raw': 'a dog'}.
_LIST = re.compile(r"""\[\s*(["'{\[].*|[-+\d.,\s]*)\]|\{\s*["'].*\}|\(\s*["'].*\)""", re.DOTALL)
#: Single words that are none: addresses, names of image files, hashes and UUIDs.
_NO_WORD = re.compile(
    r"(https?|ftp|file|s3|gs|hf)://\S*|\S+\.(jpe?g|png|webp|gif|bmp|tiff?|avif|heic)|(?=\S*\d)[0-9a-f]{16,}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    re.IGNORECASE,
)
#: Numbers, dates, times, shares: "2026-11-30 12:30", "3/4", "50 %", "#12".
_FIGURES = re.compile(r"[\d\s.,:;/%+#()-]*")
#: So many numbers in one line, and more than of other words, are coordinates.
_COORDINATES = 4


def not_a_caption(text: str) -> DropReason | None:
    """Why a text, stripped, is no caption; None: it may be one. Takes time linear in its length."""
    if not text:
        return "empty"
    if text.lower() in _PLACEHOLDERS:
        return "placeholder"
    if text[0] in "[{(" and text[-1] in "]})" and _LIST.fullmatch(text):
        return "list"
    words = text.replace(",", " ").split()
    numbers = sum(_NUMBER.fullmatch(word) is not None for word in words)
    if numbers >= _COORDINATES and 2 * numbers > len(words):
        return "labels"
    if numbers == len(words) or _FIGURES.fullmatch(text) or not any(character.isalnum() for character in text):
        return "no-words"
    if len(words) == 1 and _NO_WORD.fullmatch(words[0]):
        return "no-words"
    return None
