"""Content hashes and seeds: the numbers that say what a thing is, wherever and whenever it is looked at."""

import hashlib
from pathlib import Path


def sha256_of_file(path: Path) -> str:
    """The sha256 of a file's bytes, lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seed_of(*parts: str | int) -> int:
    """A number in [0, 2**63) that depends on nothing but `parts`: the first eight bytes of their sha256, one
    bit dropped.

    Parts are separated by a byte that occurs in none of them, so ("a", "bc") and ("ab", "c") differ.
    """
    text = "\x00".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
