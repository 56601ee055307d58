"""Cleaning: from what somebody or something wrote to a prompt, or to the reason why there is none.

Every caption comes through here, the data set's own and the captioner's. In this order:
- invisible formatting characters go, control characters and white space become single spaces, Unicode is
  composed (NFC);
- a word three or more times in a row becomes once: a captioner's known failure ("a clock clock clock on a wall"). Twice
  stays: people do write "very very";
- empty captions, captions without a letter or digit, garbled ones (U+FFFD) and those longer than CLIP's text encoder
  reads (`captioning/tokens.py`) are dropped: what a generator never read is no prompt.
"""

import re
import unicodedata
from typing import Literal

from captioning.tokens import MAX_TOKENS, count_tokens

DropReason = Literal["empty", "no-words", "garbled", "too-long"]

_RUN = re.compile(r"\b(\w+)(?:\s+\1\b){2,}", re.IGNORECASE)
_REPLACEMENT = "\ufffd"


class DroppedCaptionError(ValueError):
    """A caption that cannot be a prompt."""

    def __init__(self, reason: DropReason) -> None:
        super().__init__(reason)
        self.reason: DropReason = reason


def clean(caption: str) -> str:
    """The caption as a prompt. Cleaning a prompt again changes nothing. Raises `DroppedCaptionError`."""
    text = "".join(map(_visible, caption))
    text = " ".join(unicodedata.normalize("NFC", text).split())
    text = _RUN.sub(r"\1", text)
    if not text:
        raise DroppedCaptionError("empty")
    if _REPLACEMENT in text:
        raise DroppedCaptionError("garbled")
    if not any(character.isalnum() for character in text):
        raise DroppedCaptionError("no-words")
    if count_tokens(text) > MAX_TOKENS:
        raise DroppedCaptionError("too-long")
    return text


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if (
        category == "Cf"
    ):  # zero-width spaces and joiners, soft hyphens, byte order marks: inside words, not between them
        return ""
    # The other categories C*: control, surrogate, private use, unassigned. None of them is a word to a text encoder.
    return " " if category.startswith("C") else character
