"""The size of the tests: `make soak` runs the same tests with the numbers of a real campaign."""

import os
from typing import TypeVar

T = TypeVar("T")

SOAK = bool(os.environ.get("CF_SOAK"))


def scaled(usual: T, soak: T) -> T:
    """`usual` with `make test`, `soak` with `make soak`."""
    return soak if SOAK else usual
