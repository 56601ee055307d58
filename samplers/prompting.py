"""Which prompts a generator is asked: a permutation of its own, spread over the real sources.

Every generator draws from the same pool in another order, the sources by their weights, so that a few hundred images of
each cover all sources and thousands of generators together cover the pool. Within a generator no text comes
twice before every text has come once. The order is a function of the key alone (`workspace.identity.seed_of`), never
of a library's random numbers, and is drawn lazily: the first eight hundred of half a million cost eight hundred steps.

Among the sources, the next is always the one whose turn is due first: its n-th prompt (from 0) is due at
(n + phase) / weight. With equal weights they take turns. The phase is the generator's own, in [0, 1): a source so
light that it is due once in ten generators comes in every tenth, not in none.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping

from captioning.prompt import Prompt
from workspace.errors import UsageError
from workspace.identity import seed_of


def parse_weights(texts: Iterable[str]) -> dict[str, float]:
    """Read weights of real sources, each `NAME=WEIGHT`. Raises `UsageError` for anything else."""
    weights: dict[str, float] = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = math.nan
        if not name or not 0 <= weight < math.inf:
            raise UsageError(f"--source-weight {text}: not of the form NAME=WEIGHT, such as coco=2 (0: leave it out)")
        if name in weights:
            raise UsageError(f"--source-weight {text}: {name} is given twice")
        weights[name] = weight
    return weights


class PromptPool:
    """All prompts of the workspace, each text once (the first that has it speaks for it)."""

    def __init__(self, prompts: Iterable[Prompt], weights: Mapping[str, float] | None = None) -> None:
        """`weights`: how often a real source is drawn in comparison to others; 1 where none is given, 0 leaves it out.
        Raises `UsageError` for a source that is not there, or when none is left."""
        weights = weights or {}
        digest = hashlib.sha256()
        sources: set[str] = set()
        texts: set[str] = set()
        by_source: dict[str, list[Prompt]] = {}
        for prompt in prompts:
            digest.update(f"{prompt.prompt_id}\x00{prompt.prompt}\x00".encode())
            sources.add(prompt.real_source)
            if prompt.prompt not in texts and weights.get(prompt.real_source) != 0:
                texts.add(prompt.prompt)
                by_source.setdefault(prompt.real_source, []).append(prompt)
        for name in sorted(weights.keys() - sources):
            known = ", ".join(sorted(sources)) or "none"
            raise UsageError(f"--source-weight {name}: no prompts are of that real source; there are: {known}")
        if sources and not by_source:
            raise UsageError("--source-weight: every real source has weight 0, so no prompt is left")
        self._by_source = by_source
        self._weights = {source: weights.get(source, 1.0) for source in sorted(sources)}
        self.digest: str = digest.hexdigest()
        self.size: int = len(texts)

    @property
    def weights(self) -> dict[str, float]:
        """The weight of every real source, by name."""
        return dict(self._weights)

    def draw(self, key: str) -> Iterator[Prompt]:
        """Prompts without end, in the order that belongs to `key`; nothing at all from an empty pool."""
        lap = 0
        while self._by_source:
            sources = sorted(self._by_source)
            turn = [sources[place] for place in permutation(len(sources), key, "sources", lap)]
            orders = {source: permutation(len(self._by_source[source]), key, source, lap) for source in turn}
            phase = seed_of(key, "phase", lap) / 2**63
            due = {source: phase / self._weights[source] for source in turn}
            drawn = dict.fromkeys(turn, 0)
            while turn:
                # Of several that are due at once, the first of the turn.
                source = min(turn, key=due.__getitem__)
                place = next(orders[source], None)
                if place is None:
                    turn.remove(source)
                    continue
                yield self._by_source[source][place]
                drawn[source] += 1
                due[source] = (drawn[source] + phase) / self._weights[source]
            lap += 1


def permutation(count: int, *key: str | int) -> Iterator[int]:
    """The numbers below `count`, each once, in an order that depends on `key` alone.

    Fisher and Yates' shuffle, of which only the places that were touched are kept: memory grows with what is drawn.
    """
    moved: dict[int, int] = {}
    for place in range(count):
        other = place + seed_of(*key, place) % (count - place)
        yield moved.get(other, other)
        moved[other] = moved.pop(place, place)
