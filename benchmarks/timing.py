"""Timing of two ways to do the same thing, in turn."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Comparison:
    """Medians of the rounds, in seconds, and the claim about their ratio."""

    what: str
    ours: float
    theirs: float
    claim: str

    @property
    def ratio(self) -> float:
        """Their time divided by ours: this project is so many times as fast."""
        return self.theirs / self.ours


def compare(what: str, ours: Callable[[], Any], theirs: Callable[[], Any], claim: str, rounds: int = 5) -> Comparison:
    """Time both in turn (A B A B ...), after one round of each that does not count."""
    ours(), theirs()
    seconds: dict[Callable[[], Any], list[float]] = {ours: [], theirs: []}
    for _ in range(rounds):
        for work in (ours, theirs):
            start = time.perf_counter()
            work()
            seconds[work].append(time.perf_counter() - start)
    return Comparison(what, statistics.median(seconds[ours]), statistics.median(seconds[theirs]), claim)
