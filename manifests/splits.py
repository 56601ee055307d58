"""Which generators are for training a detector and which for evaluating it, so that the two share nothing.

A generator that is held out is in `test`. A generator that is related to it must not be in `train`: two generators are
related when they have a common ancestor, where each counts as its own ancestor and the base model of its card is one.
Names are not enough, because a copy under another name does not tell its origin: generators whose denoisers have equal
weights, or that made the same image, count as one generator.

Where a holdout is related to other generators, one side must be left out of both splits. A name, an architecture or a
family was requested explicitly, so the related generators are left out. A date is the other way round, because nearly
every new fine-tune has an old ancestor, and one new fine-tune would take all of its relatives out of training: here the
new generator is left out.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args

from crawler.catalog import Architecture, CatalogEntry, denoiser_files
from manifests.manifest import Split
from workspace.errors import UsageError

HoldoutKind = Literal["name", "architecture", "family", "after"]


@dataclass(frozen=True)
class SplitAssignment:
    """The split of each generator by its name (None: in neither), and the `withheld` generators, of which the manifest
    has no rows."""

    splits: Mapping[str, Split | None]
    withheld: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Holdout:
    """Generators of the catalogue that are kept for evaluation."""

    kind: HoldoutKind
    value: str

    def __str__(self) -> str:
        return f"{self.kind}={self.value}"

    def covers(self, entry: CatalogEntry) -> bool:
        """Whether it holds a generator out; `after`: the generator first appeared after that day, UTC."""
        if self.kind == "name":
            return entry.model_name == self.value
        if self.kind == "architecture":
            return entry.architecture == self.value
        if self.kind == "family":
            return self.value in _own_ancestors(entry)
        return entry.created_at is not None and entry.created_at[:10] > self.value


def parse_holdouts(texts: Iterable[str]) -> list[Holdout]:
    """Read holdouts, each KIND=VALUE; repeated ones count once. Raises `UsageError` for anything else."""
    return [_parse(text) for text in dict.fromkeys(texts)]


def assign_splits(
    catalog: Sequence[CatalogEntry],
    present: Collection[str],
    holdouts: Sequence[Holdout],
    equal: Iterable[Collection[str]] = (),
) -> dict[str, Split | None]:
    """The split of each generator that is `present` in the dataset; of the others only the ancestors matter.

    `equal` are sets of generators that made one and the same image. Raises `UsageError` for a holdout that covers no
    generator of the catalogue, because a spelling mistake would leave `test` empty.
    """
    for holdout in holdouts:
        if not any(holdout.covers(entry) for entry in catalog):
            raise UsageError(f"--holdout {holdout}: the catalogue has no such generator; check the spelling")
    entries = [entry for entry in catalog if entry.model_name in present]
    requested = {entry.model_name for entry in entries if _covered(entry, holdouts, by_date=False)}
    dated = {entry.model_name for entry in entries if _covered(entry, holdouts, by_date=True)} - requested
    lineages = _Lineages(catalog, equal)

    rest = [entry.model_name for entry in entries if entry.model_name not in requested | dated]
    of_requested = lineages.ancestors_of(requested)
    training = {name for name in rest if lineages.ancestors[name].isdisjoint(of_requested)}
    of_training = lineages.ancestors_of(training)
    testing = requested | {name for name in dated if lineages.ancestors[name].isdisjoint(of_training)}
    return {
        entry.model_name: "train" if entry.model_name in training else "test" if entry.model_name in testing else None
        for entry in entries
    }


class _Lineages:
    """All ancestors of every generator, including itself; generators that count as one have one name, the first."""

    def __init__(self, catalog: Sequence[CatalogEntry], equal: Iterable[Collection[str]]) -> None:
        self._parents: dict[str, set[str]] = {}
        self._first_name: dict[str, str] = {}
        by_weights: dict[str, set[str]] = {}
        for entry in catalog:
            for file in denoiser_files(entry.files):
                if file.sha256 is not None:
                    by_weights.setdefault(file.sha256, set()).add(entry.model_name)
        for names in [*by_weights.values(), *equal]:
            first, *others = sorted(names)
            for other in others:
                self._unite(first, other)
        for entry in catalog:
            parents = self._parents.setdefault(self._name(entry.model_name), set())
            parents.update(self._name(name) for name in _own_ancestors(entry))
        self.ancestors: dict[str, frozenset[str]] = {
            entry.model_name: self._all_ancestors(self._name(entry.model_name)) for entry in catalog
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


def _own_ancestors(entry: CatalogEntry) -> set[str]:
    """The generator itself and the ancestors that its own entry names."""
    return {entry.model_name, *entry.lineage} | ({entry.base_model} if entry.base_model is not None else set())


def _covered(entry: CatalogEntry, holdouts: Iterable[Holdout], by_date: bool) -> bool:
    return any(holdout.covers(entry) for holdout in holdouts if (holdout.kind == "after") is by_date)


def _parse(text: str) -> Holdout:
    kind, _, value = text.partition("=")
    for known in get_args(HoldoutKind):
        if kind == known and value:
            _check(text, kind, value)
            return Holdout(known, value)
    raise UsageError(
        f"--holdout {text}: must be name=ORG/NAME, family=ORG/BASE, architecture=PixDiff or after=2026-01-31"
    )


def _check(text: str, kind: str, value: str) -> None:
    if kind == "architecture" and value not in get_args(Architecture):
        raise UsageError(f"--holdout {text}: the architectures are {', '.join(get_args(Architecture))}")
    if kind == "after":
        try:
            day = date.fromisoformat(value)
        except ValueError:
            day = None
        if day is None or day.isoformat() != value:
            raise UsageError(f"--holdout {text}: {value!r} is not a date such as 2026-01-31")
