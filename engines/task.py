"""A task: a piece of work that processes share, such as a generator of which images are missing."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is left of a piece of work, as far as it is known at the moment."""

    name: str
    seconds: float
    """Estimated seconds that one process needs for what is left."""
    units: int
    """Units of it that can be done at the same time and that nobody has claimed."""
    workers: int
    """Processes that are at it."""
