"""Who does what: the generators divided over the shards, and the order in which a shard takes its own.

Shards start at different times and on other nodes, and know nothing of each other. So the division is a function of
the generators, their estimated costs and the number of shards, never of what is finished: longest first, each into
the shard that has least so far. No shard then exceeds the mean by more than the longest generator.

Within a shard, generators that load the same bytes are neighbours, so that a text encoder loaded for one is still
there for the next, and the weight store keeps it no longer than it must. For the time a shard takes, the order
is indifferent otherwise; so it is by rank: a run that is stopped early has the generators that are used most.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from crawler.catalog import CatalogEntry


@dataclass(frozen=True)
class ShardAssignment:
    """Generators by shard, and what each shard's cost together."""

    names: tuple[tuple[str, ...], ...]
    """Of the shards that have any, the first shard first; each by falling cost."""
    seconds: tuple[float, ...]
    """Of the same shards."""

    def share(self, index: int) -> tuple[str, ...]:
        """What belongs to the `index`-th shard, from 1."""
        return self.names[index - 1] if index <= len(self.names) else ()


def assign_shards(costs: Mapping[str, float], count: int) -> ShardAssignment:
    """Divide generators, by name with their costs, over `count` shards; every one is in exactly one shard."""
    shards = min(count, len(costs))
    names: list[list[str]] = [[] for _ in range(shards)]
    emptiest = [(0.0, 0, shard) for shard in range(shards)]
    for name in sorted(costs, key=lambda name: (-costs[name], name)):
        # The number of generators comes second, so that ones that cost nothing are spread as well.
        seconds, held, shard = heapq.heappop(emptiest)
        names[shard].append(name)
        heapq.heappush(emptiest, (seconds + costs[name], held + 1, shard))
    seconds_of = {shard: seconds for seconds, _, shard in emptiest}
    return ShardAssignment(tuple(tuple(share) for share in names), tuple(seconds_of[shard] for shard in range(shards)))


def in_order(entries: Iterable[CatalogEntry]) -> list[CatalogEntry]:
    """Generators in the order in which a shard takes them.

    The contents that several of them load are ranked by the bytes that need not be loaded again, and a generator's
    family is the list of those it has, in that order. Families with a common beginning stand together, as in a
    tree; each branch, and each generator, stands where its best rank is.
    """
    by_rank = sorted(entries, key=lambda entry: (entry.rank, entry.model_name))
    contents = [_contents(entry) for entry in by_rank]
    sharers = Counter(key for keys in contents for key in keys)
    saved = {key: (sharers[key] - 1) * size for keys in contents for key, size in keys.items() if sharers[key] > 1}
    families = [
        tuple(sorted((key for key in keys if key in saved), key=lambda key: (-saved[key], key))) for keys in contents
    ]
    best: dict[tuple[str, ...], int] = {}
    for place, family in enumerate(families):
        for length in range(1, len(family) + 1):
            best.setdefault(family[:length], place)

    def branches(place: int) -> list[int]:
        family = families[place]
        return [*(best[family[:length]] for length in range(1, len(family) + 1)), place]

    return [by_rank[place] for place in sorted(range(len(by_rank)), key=branches)]


def bytes_to_load(entries: Sequence[CatalogEntry]) -> int:
    """Bytes of weights that are loaded when each generator finds in memory what the one before it loaded."""
    total, before = 0, frozenset[str]()
    for entry in entries:
        keys = _contents(entry)
        total += sum(size for key, size in keys.items() if key not in before)
        before = frozenset(keys)
    return total


def _contents(entry: CatalogEntry) -> dict[str, int]:
    """The weights a generator loads: bytes by sha256."""
    files = (*entry.files, *entry.base_files)
    return {file.sha256: file.size for file in files if file.sha256 and file.path.endswith(".safetensors")}
