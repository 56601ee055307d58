"""Which images are in which batch: a function of the seed and the place, so that a run continues anywhere.

Half of each batch are real images, drawn without replacement in passes over all of them, so that each source has its
share. The generated half draws generators in passes over all of them, and of a generator its images in passes; or,
where images are balanced, images in passes over all.

Images that lie in row groups of Parquet files (`group` of the index) are drawn in another order, so that a row group is
read once in a window of as many draws as a label has images: the groups of a window are shuffled and dealt to `lanes`,
and in a lane an image comes at a random place after the first one of its group, `SPREAD` draws later at most. Which
images a window has is not changed by that. A lane is drawn by micro-batches of its own in each batch, and so by one
process, whose number divides that of lanes; their number depends on the batch, not on the processes.
"""

import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import gcd
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from detectors.data.index import Index, Rows
from manifests.manifest import FAKE, REAL
from workspace.errors import UsageError
from workspace.identity import number_of

Numbers = npt.NDArray[np.int64]

#: Lanes of a batch at most, so that eight processes read no group twice.
LANES = 8
#: Draws of a label, in all its lanes together, over which the images of a row group are spread: about so many images of
#: a label are in memory, and a batch has images of at least so many hundreds of groups.
SPREAD = 1_600
#: Passes over a generator's images whose draws are read together in a window. A generator with fewer images than others
#: has more passes in it: were they all together, its images would come many times within a few batches.
_PASSES = 2


@dataclass(frozen=True)
class Together:
    """Images that are read together: a name of them in the run, and their rows, from the one that has this on."""

    key: Hashable
    rows: Callable[[], Rows]


class Draws:
    """The draws of one run."""

    def __init__(
        self, index: Index, train: Rows, seed: int, balance: str = "generator", batch: int = 2, micro_batch: int = 2
    ) -> None:
        """`train`: the rows to draw from. Raises `UsageError` where they are not of both labels."""
        labels = index.labels[train]
        real, generated = (train[labels == label] for label in (REAL, FAKE))
        if not len(real) or not len(generated):
            raise UsageError(
                f"training needs real and generated images: there are {len(real):,} and {len(generated):,}; name other "
                "data or another protocol"
            )
        codes = index.codes("generator")[0][generated] if balance == "generator" else np.zeros(len(generated), np.int32)
        groups = _groups(index, train)
        self.order = "" if groups is None else hashlib.sha256(groups[train].tobytes()).hexdigest()
        """What the order of the images depends on besides the images: where they lie."""
        lanes = 1 if groups is None else gcd(batch // micro_batch, LANES)
        self._real = _Label("real", [real], groups, seed, lanes, micro_batch // 2)
        generators = [generated[codes == code] for code in np.unique(codes)]
        self._generated = _Label("images", generators, groups, seed, lanes, micro_batch // 2)

    @property
    def pass_images(self) -> int:
        """Images of one pass over all generators and their images, as many real ones included."""
        return 2 * self._generated.images

    def batch(self, first: int, count: int) -> tuple[Rows, Numbers, npt.NDArray[np.int8]]:
        """`count` images from the place `first` on, both even: rows, the pass of each, and labels.

        The first half are real, the second generated.
        """
        places = np.arange(first // 2, (first + count) // 2)
        halves = [label.at(places) for label in (self._real, self._generated)]
        rows, passes = (np.concatenate(column) for column in zip(*halves, strict=True))
        return rows, passes, np.repeat(np.array([REAL, FAKE], np.int8), len(places))

    def together(self, first: int, count: int) -> list[Together | None]:
        """With what each image of this batch is read; None: with nothing."""
        places = np.arange(first // 2, (first + count) // 2).tolist()
        return [label.together(place) for label in (self._real, self._generated) for place in places]


class _Window(NamedTuple):
    """The draws of a window, each of shape (lanes, draws)."""

    rows: Rows
    passes: Numbers
    units: Numbers | None
    """What is read at a time in a lane; -1: an image by itself. None: everything is."""


class _Label:
    """The images of one label, in pools of which each is drawn alike."""

    def __init__(
        self, name: str, pools: Sequence[Rows], groups: Numbers | None, seed: int, lanes: int, micro_batch: int
    ) -> None:
        """`groups`: as `_groups` gives them. `micro_batch`: images of this label."""
        self.images = sum(map(len, pools))
        self._name, self._pools, self._groups, self._seed = name, pools, groups, seed
        self._lanes, self._micro = lanes, micro_batch
        self._length = -(-self.images // lanes)
        # Lanes that are within a micro-batch of each other are in two windows at most.
        self._window = lru_cache(2)(self._made)

    def at(self, places: Numbers) -> tuple[Rows, Numbers]:
        """The rows at these places, and the pass of each."""
        windows, lanes, draws = self._found(places)
        rows, passes = np.empty(len(places), np.int64), np.empty(len(places), np.int64)
        for number in np.unique(windows).tolist():
            here = windows == number
            window = self._window(number)
            rows[here] = window.rows[lanes[here], draws[here]]
            passes[here] = window.passes[lanes[here], draws[here]]
        return rows, passes

    def together(self, place: int) -> Together | None:
        """With what the image at a place is read."""
        number, lane, draw = (int(part) for part in self._found(np.int64(place)))
        window = self._window(number)
        if window.units is None or (unit := int(window.units[lane, draw])) < 0:
            return None
        rows, units = window.rows[lane, draw:], window.units[lane, draw:]
        return Together((self._name, number, lane, unit), lambda: rows[units == unit])

    def _found(self, places: Any) -> tuple[Any, Any, Any]:
        """The window, the lane, and the draw in it of places."""
        micros, within = np.divmod(places, self._micro)
        turns, lanes = np.divmod(micros, self._lanes)
        windows, draws = np.divmod(turns * self._micro + within, self._length)
        return windows, lanes, draws

    def _made(self, number: int) -> _Window:
        size = self._lanes * self._length
        pools, visits = self._visited(np.arange(number * size, (number + 1) * size))
        rows, passes, late = (np.empty(size, np.int64) for _ in range(3))
        by_pool = np.argsort(pools, kind="stable")
        for here in np.split(by_pool, np.flatnonzero(np.diff(pools[by_pool])) + 1):
            images = self._pools[pools[here[0]]]
            numbers, at = np.divmod(visits[here], len(images))
            passes[here], late[here] = numbers, (numbers - numbers[0]) // _PASSES
            for one in np.unique(numbers).tolist():
                some = numbers == one
                rows[here[some]] = images[self._permuted(int(pools[here[0]]), one, images)[at[some]]]
        if self._groups is None:
            return _Window(rows[None], passes[None], None)
        order, units = self._ordered(number, self._groups[rows], late)
        return _Window(*(column.reshape(self._lanes, -1) for column in (rows[order], passes[order], units)))

    def _visited(self, places: Numbers) -> tuple[Numbers, Numbers]:
        """The pool that is drawn at each place, and how many times it was before: in passes over the pools."""
        visits, at = np.divmod(places, len(self._pools))
        if len(self._pools) == 1:
            return at, visits
        starts = np.flatnonzero(np.diff(visits, prepend=-1)).tolist()
        drawn = [
            self._random("generators", 0, int(visits[start])).permutation(len(self._pools))[at[start:end]]
            for start, end in pairwise([*starts, len(places)])
        ]
        return np.concatenate(drawn), visits

    def _permuted(self, pool: int, number: int, images: Rows) -> Numbers:
        """The order of a pool's images in a pass; those that are read together one after the other."""
        if len(images) == 1:
            return np.zeros(1, np.int64)
        random = self._random(self._name, pool, number)
        order = random.permutation(len(images))
        if self._groups is None:
            return order
        groups = self._groups[images[order]]
        ranks = random.permutation(len(images))[np.unique(groups, return_inverse=True)[1]]
        return order[np.argsort(np.where(groups < 0, random.permutation(len(images)), ranks), kind="stable")]

    def _ordered(self, number: int, groups: Numbers, late: Numbers) -> tuple[Numbers, Numbers]:
        """The order of a window's draws, lane after lane, and what is read at a time."""
        random = self._random("order", 0, number)
        alone = groups < 0
        own = np.where(alone, -1 - np.arange(len(groups)), groups)
        units = np.unique(own, return_inverse=True)[1] * (late.max() + 1) + late
        units = np.unique(units, return_inverse=True)[1]
        order = np.lexsort((random.permutation(len(units)), random.permutation(len(units))[units]))
        lanes = units[order].reshape(self._lanes, -1)
        keys = np.empty(lanes.shape)
        for lane, keyed in zip(lanes, keys, strict=True):
            first = np.maximum.accumulate(np.where(np.diff(lane, prepend=-1) != 0, np.arange(len(lane)), 0))
            keyed[:] = first + random.random(len(lane)) * (SPREAD / self._lanes)
        spread = np.argsort(keys, axis=1, kind="stable") + np.arange(self._lanes)[:, None] * self._length
        order = order[spread.ravel()]
        return order, np.where(alone[order], -1, units[order])

    def _random(self, what: str, which: int, number: int) -> np.random.Generator:
        return np.random.default_rng(number_of("draws", what, self._seed, which, number))


def _groups(index: Index, train: Rows) -> Numbers | None:
    """What each row is read with, over all datasets; -1: nothing. None: so is each of `train`."""
    groups = index.numbers("group").astype(np.int64)
    if (groups[train] < 0).all():
        return None
    datasets = index.codes("dataset")[0].astype(np.int64)
    return np.where(groups < 0, -1, groups + datasets * (1 << 32))
