"""Hashes of contents, and seeds: numbers that depend on nothing but their input."""

import hashlib
import json
from pathlib import Path


def sha256_of_file(path: Path) -> str:
    """The sha256 of a file's bytes, lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seed_of(*parts: str | int) -> int:
    """A number in [0, 2**63) that depends on nothing but `parts`.

    It is made of the first eight bytes of the sha256 of their JSON list, so that ("a", "bc") and ("ab", "c"), 1 and "1"
    give different seeds.
    """
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
