"""Generators in groups: dealt to folds, held out for validation, and kept apart from those that they are related to."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from detectors.data.index import Index, Rows
from detectors.data.kin import Kin
from workspace.errors import UsageError
from workspace.identity import seed_of

#: Parts, as bits: what an image may be for.
TRAIN, VALIDATION, TEST = 1, 2, 4

#: Share of the training generators that is held out for validation.
VALIDATION_SHARE = 0.1
#: A kin group with more than this share of the training generators does not go to validation.
_LARGEST_GROUP = 1 / 3

Bits = npt.NDArray[np.int8]


def groups_of(index: Index, generators: Rows, kin: Kin) -> list[list[int]]:
    """The generators (codes) by kin group; `ignore`: each alone. Largest group first, then by name."""
    names = index.codes("generator")[1]
    if kin == "ignore":
        return [[code] for code in sorted(generators.tolist(), key=names.__getitem__)]
    group_of = of_generators(index, "kin")
    members: dict[int, list[int]] = {}
    for code in generators.tolist():
        members.setdefault(int(group_of[code]), []).append(code)
    kin_names = index.codes("kin")[1]
    return [members[group] for group in sorted(members, key=lambda group: (-len(members[group]), kin_names[group]))]


def of_generators(index: Index, column: str) -> npt.NDArray[np.int64]:
    """The code that a column of names has for each generator (by code); -1: it has none."""
    generators, names = index.codes("generator")
    values = index.codes(column)[0]
    found = np.full(len(names), -1, np.int64)
    found[generators[generators >= 0]] = values[generators >= 0]
    return found


def _by_chance(names: Sequence[str], group: list[int], *seeds: str | int) -> int:
    """A number of a group that depends on the names of its generators and on a seed."""
    return seed_of(*seeds, *sorted(names[code] for code in group))


def dealt_groups(index: Index, count: int, seed: int, kin: Kin, protocol: str) -> Rows:
    """The fold of each generator (by code): groups from the largest to the smallest, each to the fold with the fewest
    generators so far, groups of one size in an order by chance."""
    generators, names = index.codes("generator")
    known = np.unique(generators[generators >= 0]).astype(np.int64)
    groups = groups_of(index, known, kin)
    if count < 2 or len(groups) < count:
        raise UsageError(
            f"--protocol {protocol}: there are {len(groups)} groups of related generators, which cannot be dealt to "
            f"{max(count, 2)} folds"
            + ("; --kin ignore deals each generator by itself" if kin == "exclude" and 2 <= count <= len(known) else "")
        )
    groups.sort(key=lambda group: (-len(group), _by_chance(names, group, "folds", seed)))
    fold_of = np.zeros(generators.max(initial=-1) + 1, np.int64)
    sizes = [0] * count
    for group in groups:
        smallest = sizes.index(min(sizes))
        fold_of[group] = smallest
        sizes[smallest] += len(group)
    return fold_of


def validation_of(index: Index, trains: npt.NDArray[np.bool_], seed: int, kin: Kin) -> npt.NDArray[np.bool_]:
    """Which of the generators that train (by code) are held out for validation, kin together: a tenth of them, or at
    least one group where there are two. None where one group would leave too little for training."""
    generators = np.flatnonzero(trains)
    held = np.zeros(len(trains), bool)
    groups = groups_of(index, generators, kin)
    if len(groups) < 2:
        return held
    smaller = [group for group in groups if len(group) <= max(1, _LARGEST_GROUP * len(generators))]
    names = index.codes("generator")[1]
    smaller.sort(key=lambda group: _by_chance(names, group, "validation", seed))
    for group in smaller:
        if held.any() and held.sum() + len(group) > VALIDATION_SHARE * len(generators):
            break
        held[group] = True
    return held


def without_kin(index: Index, bits: Bits, winner: int, kin: Kin) -> Bits:
    """What generators are for, without those that are related to one of another part that goes before theirs: the
    winner, then test, validation, training."""
    if kin == "ignore":
        return bits.copy()
    group_of, kept = of_generators(index, "kin"), bits.copy()
    taken = np.zeros(group_of.max(initial=-1) + 1, bool)
    for part in dict.fromkeys((winner, TEST, VALIDATION, TRAIN)):
        here = (kept & part) > 0
        kept[here] = np.where(taken[group_of[here]], kept[here] & ~part, kept[here])
        taken[group_of[(kept & part) > 0]] = True
    return kept
