"""Numbers of bytes as people write and read them: 500MB, 1.5TB, 1GiB."""

import re

from rich import filesize

from workspace.errors import UsageError

_UNITS = {
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 1 << 10,
    "MIB": 1 << 20,
    "GIB": 1 << 30,
    "TIB": 1 << 40,
}


def bytes_of(size: int | str, option: str) -> int:
    """A size as bytes: a number of them, or a text such as 500MB, 1.5TB or 1GiB.

    Raises `UsageError`, naming `option`, for anything else.
    """
    if isinstance(size, int) and size > 0:
        return size
    match = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)\s*([KMGT]i?B)", str(size), re.ASCII | re.IGNORECASE)
    number = round(float(match[1]) * _UNITS[match[2].upper()]) if match else 0
    if number == 0:
        raise UsageError(f"{option} {size!r} is not a size, such as 500MB or 1.5TB")
    return number


def text_of(size: int) -> str:
    """A number of bytes in powers of ten, as the Hub shows it: 512 bytes, 1.5 kB, 3.4 GB."""
    return filesize.decimal(size)
