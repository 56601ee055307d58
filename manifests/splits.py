"""Which generators are for training a detector, which for validating and which for evaluating it.

A generator that is held out is in `test`, or in `validation`. A generator that is related to it must not be in another
split: two generators are related when they have a common ancestor, where each counts as its own ancestor and the base
model of its card is one. Names are not enough, because a copy under another name does not tell its origin: generators
whose denoisers have equal weights, or that made the same image, count as one generator.

Where a holdout is related to other generators, one side must be left out of all splits. A name, an architecture or a
family was requested explicitly, so the related generators are left out; of two that are requested and related, the one
for validation. A date is the other way round, because nearly every new fine-tune has an old ancestor, and one new
fine-tune would take all of its relatives out of training: here the new generator is left out.

With `kin` ignore, as in the study, relations do not matter: the generators that are named are held out, all others are
for training.

Two revisions of one repository are never on two sides: where one of them is held out, the other is as well.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from crawler.catalog import CatalogEntry, own_weights
from crawler.holdout import Holdouts, Split, own_ancestors
from manifests.options import Kin


@dataclass(frozen=True)
class SplitAssignment:
    """The split of each generator (`CatalogEntry.generator`; None: in neither), and the `withheld` generators, of which
    the manifest has no rows."""

    splits: Mapping[str, Split | None]
    withheld: frozenset[str] = frozenset()


def assign_splits(
    catalog: Sequence[CatalogEntry],
    present: Collection[str],
    holdouts: Holdouts,
    equal: Iterable[Collection[str]] = (),
    kin: Kin = "separate",
) -> dict[str, Split | None]:
    """The split of each generator that is `present` in the dataset; of the others only the ancestors matter.

    `equal` are sets of generators that made one and the same image. Raises `UsageError` for a holdout that covers no
    generator of the catalogue.
    """
    holdouts.require_known(catalog)
    entries = {entry.generator: entry for entry in catalog if entry.generator in present}
    wanted = _wanted(entries, holdouts)
    if kin == "ignore":
        return dict(wanted)
    lineages = _Lineages(catalog, equal)
    named = {name for name, entry in entries.items() if wanted[name] != "train" and not _only_by_date(entry, holdouts)}
    # Each group takes what is related to none of those before it.
    order: list[tuple[Split, set[str]]] = [
        ("test", {name for name in named if wanted[name] == "test"}),
        ("validation", {name for name in named if wanted[name] == "validation"}),
        ("train", {name for name in wanted if wanted[name] == "train"}),
        ("test", {name for name in wanted if wanted[name] == "test"} - named),
        ("validation", {name for name in wanted if wanted[name] == "validation"} - named),
    ]
    assigned: dict[str, Split] = {}
    for split, names in order:
        others = lineages.ancestors_of(name for name, its in assigned.items() if its != split)
        assigned |= {name: split for name in names if lineages.ancestors[name].isdisjoint(others)}
    return {name: assigned.get(name) for name in entries}


def _wanted(entries: Mapping[str, CatalogEntry], holdouts: Holdouts) -> dict[str, Split]:
    """What each generator is for by itself; all revisions of a repository are for what the last of `Split` says."""
    order = get_args(Split)
    of_repository: dict[str, Split] = {}
    for entry in entries.values():
        split = holdouts.split_of(entry)
        of_repository[entry.model_name] = max(split, of_repository.get(entry.model_name, split), key=order.index)
    return {name: of_repository[entry.model_name] for name, entry in entries.items()}


def _only_by_date(entry: CatalogEntry, holdouts: Holdouts) -> bool:
    return not holdouts.covers(entry, "test", dated=False) and not holdouts.covers(entry, "validation", dated=False)


class _Lineages:
    """All ancestors of every generator, including its own repository, which all its revisions have in common;
    generators that count as one have one name, the first."""

    def __init__(self, catalog: Sequence[CatalogEntry], equal: Iterable[Collection[str]]) -> None:
        repositories = {entry.generator: entry.model_name for entry in catalog}
        self._parents: dict[str, set[str]] = {}
        self._first_name: dict[str, str] = {}
        by_weights: dict[str, set[str]] = {}
        for entry in catalog:
            for file in own_weights(entry):
                if file.sha256 is not None:
                    by_weights.setdefault(file.sha256, set()).add(entry.model_name)
        of_equal = [{repositories[generator] for generator in generators} for generators in equal]
        for names in [*by_weights.values(), *of_equal]:
            first, *others = sorted(names)
            for other in others:
                self._unite(first, other)
        for entry in catalog:
            parents = self._parents.setdefault(self._name(entry.model_name), set())
            parents.update(self._name(name) for name in own_ancestors(entry))
        self.ancestors: dict[str, frozenset[str]] = {
            entry.generator: self._all_ancestors(self._name(entry.model_name)) for entry in catalog
        }

    def ancestors_of(self, names: Iterable[str]) -> set[str]:
        return {ancestor for name in names for ancestor in self.ancestors[name]}

    def _name(self, name: str) -> str:
        while name in self._first_name:
            name = self._first_name[name]
        return name

    def _unite(self, name: str, other: str) -> None:
        first, second = sorted((self._name(name), self._name(other)))
        if first != second:
            self._first_name[second] = first

    def _all_ancestors(self, name: str) -> frozenset[str]:
        found, waiting = {name}, [name]
        while waiting:
            new = self._parents.get(waiting.pop(), set()) - found
            found |= new
            waiting += new
        return frozenset(found)
