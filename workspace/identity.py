"""Hashes of contents, and numbers that depend on nothing but their input."""

import hashlib
import json
from pathlib import Path

#: Bits of a seed. A double holds every integer of so many bits, so readers that keep numbers as doubles have every seed
#: exactly: JavaScript, R, and pandas where a column has nulls.
SEED_BITS = 53

_NUMBER_BITS = 63


def sha256_of_file(path: Path) -> str:
    """The sha256 of a file's bytes, lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seed_of(*parts: str | int) -> int:
    """A number in [0, 2**53) that depends on nothing but `parts`: the first bits of `number_of`."""
    return number_of(*parts) >> (_NUMBER_BITS - SEED_BITS)


def number_of(*parts: str | int) -> int:
    """A number in [0, 2**63) that depends on nothing but `parts`, for choices that no column has.

    It is made of the first eight bytes of the sha256 of their JSON list, so that ("a", "bc") and ("ab", "c"), 1 and "1"
    give different numbers.
    """
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - _NUMBER_BITS)


def reserved_place(content: str) -> float:
    """The place in [0, 1) of a real image with this sha256, or of a text, among those that prompts are reserved by."""
    return seed_of("reserved prompts", content) / (1 << SEED_BITS)
