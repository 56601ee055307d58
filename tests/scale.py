"""How large the tests' numbers are: `make soak` runs the same tests with those of a real campaign."""

import os
from typing import TypeVar

T = TypeVar("T")

SOAK = bool(os.environ.get("CF_SOAK"))


def scaled(usual: T, soak: T) -> T:
    """`usual` under `make test`, `soak` under `make soak`."""
    return soak if SOAK else usual
