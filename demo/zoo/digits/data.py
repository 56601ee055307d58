"""The training data of the three generators: scikit-learn's handwritten digits, and captions.

1,797 scans of 8x8 pixels with 17 grey levels, white on black (E. Alpaydin and C. Kaynak, "Optical Recognition of
Handwritten Digits", UCI Machine Learning Repository, 1998, CC BY 4.0). A fixed fifth is never used for training, so
that generated digits can be compared with real ones that no generator has seen.
"""

import random
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
"""The names of the digits, by digit."""

_OPENINGS = ("", "a ", "the ", "a scan of the ", "a scan of a ", "a photo of the ", "a photo of a ", "an image of the ")
_ADJECTIVES = ("", "handwritten ", "handwritten ", "hand written ")
_NOUNS = ("digit ", "digit ", "number ", "number ", "numeral ", "")

_HELD_OUT = 360  # images, a fifth of all
_LETTERS = "etaoinshrdlucmfwypvbgk"  # of English, by frequency, without the rarest


@dataclass(frozen=True)
class Digits:
    """Scanned digits: `images` float32 of shape (n, 8, 8) in [0, 1], `labels` int64 of shape (n,) in 0..9."""

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]


def split() -> tuple[Digits, Digits]:
    """The scans for training (1,437) and for tests (360), with equal shares of each digit; always the same."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    images = (pixels / 16).reshape(-1, 8, 8).astype(np.float32)
    seen, unseen, seen_labels, unseen_labels = train_test_split(
        images, labels.astype(np.int64), test_size=_HELD_OUT, stratify=labels, random_state=0
    )
    return Digits(seen, seen_labels), Digits(unseen, unseen_labels)


def vocabulary() -> list[str]:
    """All words that `caption` uses, sorted: each has a token of its own."""
    phrases = (*_OPENINGS, *_ADJECTIVES, *_NOUNS, *WORDS, *map(str, range(10)))
    return sorted({word for phrase in phrases for word in phrase.split()})


def caption(digit: int, rng: random.Random) -> str:
    """A random caption of `digit`: "a handwritten digit seven", "the number 7", "7"."""
    name = rng.choice((WORDS[digit], str(digit)))
    return rng.choice(_OPENINGS) + rng.choice(_ADJECTIVES) + rng.choice(_NOUNS) + name


def unrelated_caption(rng: random.Random) -> str:
    """A caption of random words that is no caption of a digit: the image for it may be any digit."""
    words = ["".join(rng.choices(_LETTERS, k=rng.randint(2, 9))) for _ in range(rng.randint(1, 6))]
    return rng.choice(_OPENINGS) + " ".join(words)
