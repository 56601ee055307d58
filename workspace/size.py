"""Numbers of bytes as people write and read them: 500MB, 1.5TB, 1GiB."""

import re

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


def bytes_of(size: str, option: str) -> int:
    """A size such as 500MB, 1.5TB or 1GiB in bytes; raises `UsageError`, naming `option`, for anything else."""
    match = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)\s*([KMGT]i?B)", size, re.ASCII | re.IGNORECASE)
    number = round(float(match[1]) * _UNITS[match[2].upper()]) if match else 0
    if number == 0:
        raise UsageError(f"{option} {size!r} is not a size, such as 500MB or 1.5TB")
    return number


def text_of(size: int) -> str:
    """A number of bytes in the largest decimal unit that leaves at least one of it, with a decimal: 1.5 TB."""
    for unit in ("TB", "GB", "MB"):
        if size >= _UNITS[unit]:
            return f"{size / _UNITS[unit]:.1f} {unit}"
    return f"{size / _UNITS['KB']:.1f} KB"
