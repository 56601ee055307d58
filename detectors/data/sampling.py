"""Choosing some of many items: as many of each group, and by chance within a group."""

import numpy as np
import numpy.typing as npt


def evenly(groups: npt.NDArray[np.int32], number: int, seed: int, repeat: int) -> npt.NDArray[np.int64]:
    """Places of at most `number` items, as many of each group as there are, and by chance within a group.

    A group that has fewer than its share leaves the rest to the others. The places are sorted; a smaller number is a
    part of a larger one.
    """
    if number >= len(groups):
        return np.arange(len(groups), dtype=np.int64)
    order = np.random.default_rng([seed, repeat, 1]).permutation(len(groups))
    by_group = order[np.argsort(groups[order], kind="stable")]
    sizes = np.bincount(groups - groups.min(initial=0))
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    turn = np.arange(len(groups)) - starts
    # Which group comes first in the last, incomplete turn is by chance too.
    chance = np.random.default_rng([seed, repeat, 2]).permutation(len(groups))
    return np.sort(by_group[np.lexsort((chance, turn))][:number])
