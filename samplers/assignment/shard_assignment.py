"""Which shard samples which generators, and in which order.

Shards start at different times on different nodes and do not know of each other. So the assignment depends on the
generators, their estimated costs and the number of shards, never on what is finished: the most expensive generator
first, each to the shard with the least cost so far. No shard then exceeds the mean by more than its most expensive
generator.

Within a shard, generators that load the same bytes are neighbours: a text encoder loaded for one is still in memory for
the next, and the weight store need not keep it for long. Otherwise the order is by rank, so a run that is stopped early
has sampled the most used generators.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from crawler.catalog import CatalogEntry
from workspace.shard import Shard


@dataclass(frozen=True)
class ShardAssignment:
    """Generators by shard, and the estimated cost of each shard."""

    names: tuple[tuple[str, ...], ...]
    """Of the shards that have any, the first shard first; within a shard by falling cost."""
    seconds: tuple[float, ...]
    """Of the same shards."""

    def names_of(self, index: int) -> tuple[str, ...]:
        """The generators of the `index`-th shard, counted from 1."""
        return self.names[index - 1] if index <= len(self.names) else ()


def assign_shards(costs: Mapping[str, float], count: int) -> ShardAssignment:
    """Assign generators, given as names with their costs, to `count` shards; each is in exactly one shard."""
    shards = min(count, len(costs))
    names: list[list[str]] = [[] for _ in range(shards)]
    least = [(0.0, 0, shard) for shard in range(shards)]
    for name in sorted(costs, key=lambda name: (-costs[name], name)):
        # The number of generators is the second key, so that generators without cost are spread as well.
        seconds, held, shard = heapq.heappop(least)
        names[shard].append(name)
        heapq.heappush(least, (seconds + costs[name], held + 1, shard))
    seconds_of = {shard: seconds for seconds, _, shard in least}
    return ShardAssignment(tuple(tuple(share) for share in names), tuple(seconds_of[shard] for shard in range(shards)))


def names_in(shard: Shard, assignment: ShardAssignment, costs: Mapping[str, float]) -> frozenset[str]:
    """The generators of a shard; one that is a share of another one is cut in the same way."""
    names = assignment.names_of((shard.within or shard).index)
    if shard.within is not None:
        names = assign_shards({name: costs[name] for name in names}, shard.count).names_of(shard.index)
    return frozenset(names)


def sampling_order(entries: Iterable[CatalogEntry]) -> list[CatalogEntry]:
    """Generators in the order in which a shard samples them.

    Contents that several generators load are ranked by the bytes that need not be loaded again. A generator's family is
    the list of these contents that it loads, in that order. Families with a common beginning are neighbours, as in a
    tree; each branch, and each generator, is placed by the best rank in it.
    """
    by_rank = sorted(entries, key=lambda entry: (entry.rank, entry.model_name))
    contents = [_weights(entry) for entry in by_rank]
    sharers = Counter(key for keys in contents for key in keys)
    saved = {key: (sharers[key] - 1) * size for keys in contents for key, size in keys.items() if sharers[key] > 1}
    families = [
        tuple(sorted((key for key in keys if key in saved), key=lambda key: (-saved[key], key))) for keys in contents
    ]
    best: dict[tuple[str, ...], int] = {}
    for number, family in enumerate(families):
        for length in range(1, len(family) + 1):
            best.setdefault(family[:length], number)

    def branches(number: int) -> list[int]:
        family = families[number]
        return [*(best[family[:length]] for length in range(1, len(family) + 1)), number]

    return [by_rank[number] for number in sorted(range(len(by_rank)), key=branches)]


def bytes_to_load(entries: Sequence[CatalogEntry]) -> int:
    """Bytes of weights that are loaded when each generator reuses what the one before it loaded."""
    total, before = 0, frozenset[str]()
    for entry in entries:
        keys = _weights(entry)
        total += sum(size for key, size in keys.items() if key not in before)
        before = frozenset(keys)
    return total


def _weights(entry: CatalogEntry) -> dict[str, int]:
    """The weight files that a generator loads: bytes by sha256."""
    return {file.sha256: file.size for file in entry.all_files if file.sha256 and file.path.endswith(".safetensors")}
