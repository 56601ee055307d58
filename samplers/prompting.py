"""Which prompts a generator is asked: a permutation of its own, spread over the real sources.

Every generator draws from the same pool in another order, source by source in turn, so that a few hundred images of
each cover all sources alike and thousands of generators together cover the pool. Within a generator no text comes
twice before every text has come once. The order is a function of the key alone (`workspace.identity.seed_of`), never
of a library's random numbers, and is drawn lazily: the first eight hundred of half a million cost eight hundred steps.
"""

import hashlib
from collections.abc import Iterable, Iterator

from captioning.prompt import Prompt
from workspace.identity import seed_of


class PromptPool:
    """All prompts of the workspace, each text once (the first that has it speaks for it)."""

    def __init__(self, prompts: Iterable[Prompt]) -> None:
        digest = hashlib.sha256()
        texts: set[str] = set()
        by_source: dict[str, list[Prompt]] = {}
        for prompt in prompts:
            digest.update(f"{prompt.prompt_id}\x00{prompt.prompt}\x00".encode())
            if prompt.prompt not in texts:
                texts.add(prompt.prompt)
                by_source.setdefault(prompt.real_source, []).append(prompt)
        self._by_source = by_source
        self.digest: str = digest.hexdigest()
        self.size: int = len(texts)

    def draw(self, key: str) -> Iterator[Prompt]:
        """Prompts without end, in the order that belongs to `key`; nothing at all from an empty pool."""
        lap = 0
        while self._by_source:
            sources = sorted(self._by_source)
            turn = [sources[place] for place in permutation(len(sources), key, "sources", lap)]
            orders = {source: permutation(len(self._by_source[source]), key, source, lap) for source in turn}
            while turn:
                for source in tuple(turn):
                    place = next(orders[source], None)
                    if place is None:
                        turn.remove(source)
                    else:
                        yield self._by_source[source][place]
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
