"""Protocols: who trains, who validates and who is tested.

    split          as the manifest divides images
    generator:K    K folds of kin groups; each generator is tested by the fold that did not see it
    architecture   each architecture is tested by detectors that never saw it
    temporal:N     generators in the order of their first day, N in a period; trained on all periods up to one, tested
                   on the next (`test`), those after it (`later`), and unseen images of the former ones (`seen`)
    source         each source of real images is tested by detectors that never saw it, and with generators held out
    cross          trained on the first dataset, tested on the others

In every fold a kin group is in one part only, and so is a content (`contents`): an equal file, a real image, a prompt.
Where generators of several parts share a content, it is dealt to one of them by chance, and its other images are left
out; `split`, `source` and `cross` test all that is for testing, and training goes without. Validation is of generators
that training does not see, so that a threshold is not chosen on them.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, overload

import numpy as np
import numpy.typing as npt

from detectors.data.index import Index, Rows
from detectors.data.kin import Kin as Kin
from detectors.protocols import plans as planned
from detectors.protocols.contents import contents_of, places_of
from detectors.protocols.generator_groups import TEST, TRAIN, VALIDATION, Bits, validation_of, without_kin
from detectors.protocols.plans import Plan
from manifests.manifest import FAKE
from workspace.errors import UsageError
from workspace.number_text import counted

PROTOCOLS = "split, generator:K, architecture, temporal:N, source, cross"

#: Share of what several parts could have that goes to the test at least, and at most; of the rest to validation.
_TEST_SHARES, _VALIDATION_CONTENTS = (0.2, 0.5), 0.15

#: Of `temporal`: share of the contents that only generators of training have, which is kept for `seen`.
_SEEN = 0.1

_PARTS = (TRAIN, VALIDATION, TEST)


def _no_rows() -> Rows:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Fold:
    """One division of an index: rows for training, for thresholds and early stopping (of generators that are held out
    of training), and for the test."""

    name: str
    train: Rows
    validation: Rows
    test: Rows
    later: Rows = field(default_factory=_no_rows)
    """Of `temporal`: images of the periods after that of the test."""
    seen: Rows = field(default_factory=_no_rows)
    """Of `temporal`: images of generators that train, none of which is in training."""
    protocol: str = "split"
    left_out: int = 0
    """Images that are in no part, because they share something with another one or are not for this fold."""
    kin_left_out: int = 0
    """Generators that are in no part, because they are related to one of another part."""

    def digest(self, index: Index) -> str:
        """Digest of the images that train and validate, for recipes."""
        own, digest = index.hashes("sha256"), hashlib.sha256()
        for rows in (self.train, self.validation):
            digest.update(len(rows).to_bytes(8, "big") + own[rows].tobytes() + index.labels[rows].tobytes())
        return digest.hexdigest()

    def lines(self, index: Index) -> Iterator[str]:
        """What the fold is, for people."""
        generators = index.codes("generator")[0]
        for name, rows in (("training", self.train), ("validation", self.validation), ("test", self.test)):
            fake = rows[index.labels[rows] == FAKE]
            count = len(np.unique(generators[fake]))
            yield (
                f"{self.name}, {name}: {counted(len(fake), 'image')} of {counted(count, 'generator')}, "
                f"{counted(len(rows) - len(fake), 'real image')}"
            )
        if self.left_out:
            yield (
                f"{self.name}: {counted(self.left_out, 'image')} in no part, so that no two parts share a real "
                "image or a caption"
            )
        if self.kin_left_out:
            yield (
                f"{self.name}: {counted(self.kin_left_out, 'generator')} in no part, because related to some of "
                "another part; --kin ignore keeps them"
            )


class Folds(Sequence[Fold]):
    """The folds of a protocol, each made when it is asked for."""

    def __init__(self, names: Sequence[str], make: Callable[[int], Fold]) -> None:
        self.names, self._make = list(names), make

    def __len__(self) -> int:
        return len(self.names)

    if TYPE_CHECKING:
        # For the type checker alone: `typing` would keep this module, and through it DuckDB's, to the end of the
        # process where torch keeps `typing`, and DuckDB then prints a page about leaked objects.
        @overload
        def __getitem__(self, at: int) -> Fold: ...
        @overload
        def __getitem__(self, at: slice) -> "list[Fold]": ...

    def __getitem__(self, at: int | slice) -> "Fold | list[Fold]":
        if isinstance(at, slice):
            return [self[number] for number in range(len(self))[at]]
        return self._make(range(len(self))[at])

    def named(self, name: str) -> Fold:
        """The fold of that name. Raises `UsageError`."""
        if name not in self.names:
            raise UsageError(f"--fold {name} is not one of {', '.join(self.names)}")
        return self[self.names.index(name)]


def folds(index: Index, protocol: str, seed: int, kin: Kin = "exclude") -> Folds:
    """The folds of a protocol; the same index, protocol and seed give the same ones.

    Raises `UsageError` for an unknown protocol, or one that this index cannot have.
    """
    kind, _, number = protocol.partition(":")
    counted = {"generator": planned.by_generator, "temporal": planned.by_time}
    plain = {
        "split": planned.by_split,
        "architecture": planned.by_architecture,
        "source": planned.by_source,
        "cross": planned.across,
    }
    if kind in counted and re.fullmatch(r"[1-9][0-9]{0,5}", number, re.ASCII):
        plans = counted[kind](index, int(number), seed, kin)
    elif protocol in plain:
        plans = plain[protocol](index, seed, kin)
    else:
        raise UsageError(f"--protocol {protocol} is not one of {PROTOCOLS}, where K and N are numbers such as 5")
    contents = contents_of(index)
    places = places_of(index, contents, seed)
    return Folds(
        [plan.name for plan in plans], lambda at: _made(index, plans[at], contents, places, protocol, seed, kin)
    )


def _made(
    index: Index,
    plan: Plan,
    contents: npt.NDArray[np.int64],
    places: npt.NDArray[np.float64],
    protocol: str,
    seed: int,
    kin: Kin,
) -> Fold:
    generators = index.codes("generator")[0]
    generated = index.labels == FAKE
    for_generators = without_kin(index, plan.generators, plan.kin_winner, kin)
    related = int(((plan.generators > 0) & (for_generators == 0)).sum())
    if plan.validates:
        for_generators[validation_of(index, for_generators == TRAIN, seed, kin)] = VALIDATION
    allowed = np.where(generated, for_generators[generators] & plan.rows, plan.rows).astype(np.int8)
    part_of = _parts_of_contents(plan, allowed, generated, contents, places)[contents]
    final = allowed & part_of
    test = (final & TEST) > 0
    later = seen = np.zeros(len(index), bool)
    if plan.later is not None:
        later = test & generated & plan.later[generators]
        seen = generated & (for_generators[generators] == TRAIN) & (part_of == TEST)
    return Fold(
        plan.name,
        np.flatnonzero(final & TRAIN),
        np.flatnonzero(final & VALIDATION),
        np.flatnonzero(test & ~later),
        np.flatnonzero(later),
        np.flatnonzero(seen),
        protocol,
        int((final == 0).sum() - seen.sum()),
        related,
    )


def _parts_of_contents(
    plan: Plan,
    allowed: Bits,
    generated: npt.NDArray[np.bool_],
    contents: npt.NDArray[np.int64],
    places: npt.NDArray[np.float64],
) -> Bits:
    """The one part that each content is for: that of its images which may be in one part only; where these differ, or
    all may be in several, one of them by chance, in the shares of the parts."""
    one = np.isin(allowed, _PARTS)
    definite, possible = np.zeros(len(places), np.int8), np.zeros(len(places), np.int8)
    np.bitwise_or.at(definite, contents[one], allowed[one])
    np.bitwise_or.at(possible, contents, allowed)
    wanted = np.where(definite > 0, definite, possible).astype(np.int8)
    if plan.later is not None:  # some images of generators that train are for the past
        wanted[(wanted == TRAIN) & (places < _SEEN)] = TEST
    if plan.winner:
        wanted[(wanted & plan.winner) > 0] = plan.winner
    share = plan.share
    if share is None:
        tested = (allowed[generated] & TEST > 0).sum() / max(1, (allowed[generated] > 0).sum())
        share = float(np.clip(tested, *_TEST_SHARES))
    validated = _VALIDATION_CONTENTS * (1 - share)
    shares = np.array([1 - share - validated, validated, share])
    place = (places - plan.at) % 1.0
    # In this order the first interval is the test's, so that `at` moves it.
    order = [TEST, VALIDATION, TRAIN]
    weights = np.stack([np.where((wanted & part) > 0, shares[_PARTS.index(part)], 0.0) for part in order], axis=1)
    total = weights.sum(axis=1)
    bounds = np.cumsum(weights, axis=1)
    chosen = (place[:, None] * total[:, None] >= bounds).sum(axis=1).clip(max=2)
    return np.where(total > 0, np.array(order, np.int8)[chosen], 0).astype(np.int8)
