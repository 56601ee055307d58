"""Cleaning: from a caption, written or generated, to a prompt, or to the reason why it cannot be one.

Every caption is cleaned, the data set's own and the captioner's. In this order:
- invisible formatting characters are removed; control characters and white space become single spaces; Unicode is
  composed (NFC);
- a word repeated three or more times in a row is kept once: a known failure of captioners ("a clock clock clock on a
  wall"). A word repeated twice stays: people do write "very very";
- a caption is dropped when it is empty, is no caption but numbers, a list or a placeholder (`caption_text.py`), is
  garbled (contains U+FFFD), or is longer than CLIP's text encoder reads (`captioning/tokens.py`): the generator would
  not see the rest.
"""

import re
import unicodedata

from captioning.caption_text import DropReason, not_a_caption
from captioning.tokens import MAX_TOKENS, count_tokens

_REPEATED_WORD = re.compile(r"\b(\w+)(?:\s+\1\b){2,}", re.IGNORECASE)
_REPLACEMENT_CHARACTER = "\ufffd"


class DroppedCaptionError(ValueError):
    """A caption that cannot be a prompt."""

    def __init__(self, reason: DropReason) -> None:
        super().__init__(reason)
        self.reason: DropReason = reason


def clean(caption: str) -> str:
    """The caption as a prompt. Cleaning a prompt again changes nothing. Raises `DroppedCaptionError`."""
    text = "".join(map(_visible, caption))
    text = " ".join(unicodedata.normalize("NFC", text).split())
    text = _REPEATED_WORD.sub(r"\1", text)
    if _REPLACEMENT_CHARACTER in text:
        raise DroppedCaptionError("garbled")
    reason = not_a_caption(text)
    if reason is not None:
        raise DroppedCaptionError(reason)
    if count_tokens(text) > MAX_TOKENS:
        raise DroppedCaptionError("too-long")
    return text


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cf":  # zero-width spaces and joiners, soft hyphens, byte order marks: they occur inside words
        return ""
    # The other categories C*: control, surrogate, private use, unassigned. A text encoder knows no word with them.
    return " " if category.startswith("C") else character
