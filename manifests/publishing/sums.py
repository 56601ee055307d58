"""`SHA256SUMS`: which files of the dataset are this program's own, and what is in them.

It has a line a shard and a line a table, as `sha256sum --check` reads them, and is committed together with them. What
it does not name was written by somebody else.
"""

from collections.abc import Mapping
from typing import TypeAlias

SUMS_FILE = "SHA256SUMS"

#: The folders of what is named in it.
SHARDS, TABLES = "data/", "metadata/"

#: The sha256 of each file, by its path.
Sums: TypeAlias = dict[str, str]


def parse_sums(content: bytes) -> Sums:
    """What the file says; raises `ValueError` for one this program did not write."""
    sums = {}
    for line in content.decode("utf-8", "replace").splitlines():
        sha256, _, path = line.partition("  ")
        if not path.startswith((SHARDS, TABLES)) or ".." in path.split("/") or "\0" in path:
            raise ValueError(f"{line[:80]!r} names no file of ours")
        sums[path] = sha256
    return sums


def sums_text(sums: Mapping[str, str]) -> bytes:
    """The file for these sums, by path."""
    return "".join(f"{sha256}  {path}\n" for path, sha256 in sorted(sums.items())).encode()
