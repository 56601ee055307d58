"""Sizes and times in words short enough for a column."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def in_bytes(count: int) -> str:
    """Bytes as the Hub counts them, in powers of ten: 512.0 MB, 3.44 GB, 1.20 TB."""
    if count >= 10**12:
        return f"{count / 1e12:,.2f} TB"
    return f"{count / 1e9:.2f} GB" if count >= 10**8 else f"{count / 1e6:.1f} MB"


def in_time(seconds: float | None) -> str:
    """Seconds in the largest two units that matter: 8 s, 12 min, 3 h 40 min, 2 d 5 h; a dash where unknown."""
    if seconds is None:
        return "-"
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < 2 * _DAY:
        minutes = round(seconds / _MINUTE)
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(seconds / _HOUR)
    return f"{hours // 24} d {hours % 24} h"
