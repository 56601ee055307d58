"""`SHA256SUMS`: which files of a dataset this program wrote, and the sha256 of each.

It has a line for each shard and each table, as `sha256sum --check` reads them, and is committed together with them. A
file that it does not list was written by somebody else.
"""

from collections.abc import Mapping
from typing import TypeAlias

CHECKSUMS_FILE = "SHA256SUMS"

#: The folders of the files in it.
SHARDS, TABLES = "data/", "metadata/"

#: The sha256 of each file, by its path.
Checksums: TypeAlias = dict[str, str]


def parse_checksums(content: bytes) -> Checksums:
    """Read the file's content; raises `ValueError` for a line that this program did not write."""
    checksums = {}
    for line in content.decode("utf-8", "replace").splitlines():
        sha256, _, path = line.partition("  ")
        if not path.startswith((SHARDS, TABLES)) or ".." in path.split("/") or "\0" in path:
            raise ValueError(f"{line[:80]!r} is not a file in {SHARDS} or {TABLES}")
        checksums[path] = sha256
    return checksums


def checksums_text(checksums: Mapping[str, str]) -> bytes:
    """The file's content for these checksums, by path."""
    return "".join(f"{sha256}  {path}\n" for path, sha256 in sorted(checksums.items())).encode()
