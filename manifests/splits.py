"""Which generators train a detector and which evaluate it, so that the two share nothing.

A generator that is held out goes to `test`. What shares an ancestor with it must not train: generators are kin when one
name stands among both their ancestors, themselves and the card's base model included. Names are not enough, since a
copy under another name says nothing of its origin: generators whose denoisers have equal weights, or who made the same
image, count as one.

Where a holdout and the rest of the catalogue are kin, one side has to give way, and its generators are in neither
split. A name, an architecture or a family was asked for: the rest gives way. A date gives way to the rest, because
nearly every new fine-tune has an old ancestor, and one of them would take all of its kin out of training.
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
    """What becomes of the generators, by name: `splits` of each (None: in neither), and those `withheld`, which the
    manifest has no rows of."""

    splits: Mapping[str, Split | None]
    withheld: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Holdout:
    """A part of the catalogue that is kept for evaluation."""

    kind: HoldoutKind
    value: str

    def __str__(self) -> str:
        return f"{self.kind}={self.value}"

    def covers(self, entry: CatalogEntry) -> bool:
        """Whether a generator is held out by it; `after` means later than that day, UTC."""
        if self.kind == "name":
            return entry.model_name == self.value
        if self.kind == "architecture":
            return entry.architecture == self.value
        if self.kind == "family":
            return self.value in _names(entry)
        return entry.created_at is not None and entry.created_at[:10] > self.value


def parse_holdouts(texts: Iterable[str]) -> list[Holdout]:
    """Read holdouts, each KIND=VALUE. Raises `UsageError` for anything else."""
    return [_parse(text) for text in dict.fromkeys(texts)]


def assign_splits(
    catalog: Sequence[CatalogEntry],
    present: Collection[str],
    holdouts: Sequence[Holdout],
    twins: Iterable[Collection[str]] = (),
) -> dict[str, Split | None]:
    """The split of each generator that is `present` in the dataset; the rest of the catalogue only tells who is kin.

    `twins` are sets of generators that made one and the same image. Raises `UsageError` for a holdout that covers no
    generator of the catalogue, since a typing error would leave `test` empty.
    """
    for holdout in holdouts:
        if not any(holdout.covers(entry) for entry in catalog):
            raise UsageError(f"--holdout {holdout}: no generator of the catalogue is meant by it")
    here = [entry for entry in catalog if entry.model_name in present]
    asked = {entry.model_name for entry in here if _covered(entry, holdouts, by_date=False)}
    dated = {entry.model_name for entry in here if _covered(entry, holdouts, by_date=True)} - asked
    kinship = _Kinship(catalog, twins)

    rest = [entry.model_name for entry in here if entry.model_name not in asked | dated]
    of_asked = kinship.ancestors_of(asked)
    training = {name for name in rest if kinship.ancestors[name].isdisjoint(of_asked)}
    of_training = kinship.ancestors_of(training)
    testing = asked | {name for name in dated if kinship.ancestors[name].isdisjoint(of_training)}
    return {
        entry.model_name: "train" if entry.model_name in training else "test" if entry.model_name in testing else None
        for entry in here
    }


class _Kinship:
    """All ancestors of every generator, itself among them; those that count as one have one name, the first."""

    def __init__(self, catalog: Sequence[CatalogEntry], twins: Iterable[Collection[str]]) -> None:
        self._parents: dict[str, set[str]] = {}
        self._same: dict[str, str] = {}
        by_weights: dict[str, set[str]] = {}
        for entry in catalog:
            for file in denoiser_files(entry.files):
                if file.sha256 is not None:
                    by_weights.setdefault(file.sha256, set()).add(entry.model_name)
        for same in [*by_weights.values(), *twins]:
            first, *others = sorted(same)
            for other in others:
                self._unite(first, other)
        for entry in catalog:
            parents = self._parents.setdefault(self._one(entry.model_name), set())
            parents.update(self._one(name) for name in _names(entry))
        self.ancestors: dict[str, frozenset[str]] = {
            entry.model_name: self._reached(self._one(entry.model_name)) for entry in catalog
        }

    def ancestors_of(self, names: Iterable[str]) -> set[str]:
        return {ancestor for name in names for ancestor in self.ancestors[name]}

    def _one(self, name: str) -> str:
        while name in self._same:
            name = self._same[name]
        return name

    def _unite(self, first: str, other: str) -> None:
        one, two = sorted((self._one(first), self._one(other)))
        if one != two:
            self._same[two] = one

    def _reached(self, start: str) -> frozenset[str]:
        found, waiting = {start}, [start]
        while waiting:
            new = self._parents.get(waiting.pop(), set()) - found
            found |= new
            waiting += new
        return frozenset(found)


def _names(entry: CatalogEntry) -> set[str]:
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
        f"--holdout {text}: not of the form name=ORG/NAME, family=ORG/BASE, architecture=PixDiff or after=2026-01-31"
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
            raise UsageError(f"--holdout {text}: {value!r} is no day, such as 2026-01-31")
