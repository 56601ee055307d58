"""Durations and counts as short texts for people."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
#: Hours below which a time is no number of hours, and from which on tenths do not matter.
_SHORT, _EXACT = 2, 100


def duration_text(seconds: float | None) -> str:
    """Seconds in the two largest units that matter: 8 s, 12 min, 3 h 40 min, 2 d 5 h; a dash where unknown."""
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


def hours_text(seconds: float) -> str:
    """Seconds as hours, of which bills are made: 1,234 h, 3.4 h; shorter ones as durations."""
    hours = seconds / _HOUR
    return duration_text(seconds) if hours < _SHORT else f"{hours:.1f} h" if hours < _EXACT else f"{hours:,.0f} h"


def form(number: int, one: str, several: str) -> str:
    """The words for this number of things, such as "it" or "them"."""
    return one if number == 1 else several


def counted(number: int, noun: str) -> str:
    """A number of things, whose plural ends in s: 1 generator, 2 generators, 1,200 images."""
    return f"{number:,} {form(number, noun, f'{noun}s')}"
