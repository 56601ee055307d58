"""Two ways of doing one thing, timed in turn."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Comparison:
    """Medians of the rounds, in seconds, and the claim they are held against."""

    what: str
    ours: float
    theirs: float
    claim: str

    @property
    def ratio(self) -> float:
        """Their time over ours: how many times as fast we are."""
        return self.theirs / self.ours


def compare(what: str, ours: Callable[[], Any], theirs: Callable[[], Any], claim: str, rounds: int = 5) -> Comparison:
    """Time both in turn (A B A B ...), after one round of each that is not counted."""
    ours(), theirs()
    seconds: dict[Callable[[], Any], list[float]] = {ours: [], theirs: []}
    for _ in range(rounds):
        for work in (ours, theirs):
            start = time.perf_counter()
            work()
            seconds[work].append(time.perf_counter() - start)
    return Comparison(what, statistics.median(seconds[ours]), statistics.median(seconds[theirs]), claim)
