"""Shares of a whole as texts: 5% or 0.05."""

import re
from fractions import Fraction

from workspace.errors import UsageError

_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%|(0?\.[0-9]+|0|1\.0+)", re.ASCII)


def share_of(text: str, option: str) -> Fraction:
    """The share that a text names. Raises `UsageError` for anything else, such as 5, which could mean 5% or a number of
    things; `option` names it in the message."""
    match = _SHARE.fullmatch(text.strip())
    share = None if match is None else Fraction(match[1]) / 100 if match[1] is not None else Fraction(match[2])
    if share is None or share > 1:
        raise UsageError(f"{option} {text!r} is not a share: write it as 5% or 0.05")
    return share
