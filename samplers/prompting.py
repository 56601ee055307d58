"""Which prompts a generator gets: a permutation of its own, spread over the real sources.

Every generator draws from the same pool in another order, the sources by their weights. So a few hundred images of each
generator cover all sources, and thousands of generators together cover the pool. Within a generator no text is repeated
before every text was used. The order depends on the key alone (`workspace.identity.number_of`), never on a library's
random numbers, and is computed step by step: the first eight hundred of half a million cost eight hundred steps.

The next source is always the one whose turn is due first: its n-th prompt (from 0) is due at (n + phase) / weight. With
equal weights the sources take turns. The phase, in [0, 1), differs between generators: a source of so little weight
that it is due once in ten generators is drawn in every tenth, not in none.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping

from captioning.prompt import Prompt
from workspace.errors import UsageError
from workspace.identity import number_of


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
            raise UsageError(f"--source-weight {text}: not of the form NAME=WEIGHT, such as coco=2 (0: never)")
        if name in weights:
            raise UsageError(f"--source-weight {text}: {name} is given twice")
        weights[name] = weight
    return weights


class PromptPool:
    """All prompts of the workspace. A text that several prompts have is used once, with the first of them."""

    def __init__(self, prompts: Iterable[Prompt], weights: Mapping[str, float] | None = None) -> None:
        """`weights`: how often a real source is drawn, compared with the others; 1 where none is given, 0 for never.

        Raises `UsageError` for a weight of a source that does not exist, and where every source has weight 0.
        """
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
            raise UsageError(f"--source-weight {name}: no such real source in this workspace; it has: {known}")
        if sources and not by_source:
            raise UsageError("--source-weight: every real source has weight 0, so there is no prompt to draw")
        self._by_source = by_source
        # As numbers of one type: the recipe tells 2 from 2.0.
        self._weights = {source: float(weights.get(source, 1)) for source in sorted(sources)}
        self.digest: str = digest.hexdigest()
        self.size: int = len(texts)

    @property
    def weights(self) -> dict[str, float]:
        """The weight of every real source, by name."""
        return dict(self._weights)

    def draw(self, key: str) -> Iterator[Prompt]:
        """Prompts without end, in the order that belongs to `key`; nothing from an empty pool."""
        lap = 0
        while self._by_source:
            sources = sorted(self._by_source)
            turns = [sources[number] for number in permutation(len(sources), key, "sources", lap)]
            orders = {source: permutation(len(self._by_source[source]), key, source, lap) for source in turns}
            phase = number_of(key, "phase", lap) / 2**63
            due = {source: phase / self._weights[source] for source in turns}
            drawn = dict.fromkeys(turns, 0)
            while turns:
                # Of several that are due at the same time, the first in `turns`.
                source = min(turns, key=due.__getitem__)
                number = next(orders[source], None)
                if number is None:
                    turns.remove(source)
                    continue
                yield self._by_source[source][number]
                drawn[source] += 1
                due[source] = (drawn[source] + phase) / self._weights[source]
            lap += 1


def permutation(count: int, *key: str | int) -> Iterator[int]:
    """The numbers below `count`, each once, in an order that depends on `key` alone.

    The shuffle of Fisher and Yates, which stores only the positions that it has touched: memory grows with what is
    drawn.
    """
    moved: dict[int, int] = {}
    for position in range(count):
        other = position + number_of(*key, position) % (count - position)
        yield moved.get(other, other)
        moved[other] = moved.pop(position, position)
