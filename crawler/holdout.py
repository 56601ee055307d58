"""Generators that are kept for evaluating or for validating a detector, named before they are sampled or after.

Sampling gives them prompts of their own (`samplers/planning/reservation.py`), the manifest puts them into splits of
their own (`manifests/splits.py`); both ask here which generators a text such as family=ORG/BASE means.
"""

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal, get_args

from crawler.catalog import Architecture, CatalogEntry
from workspace.errors import UsageError
from workspace.removed import is_pseudonym
from workspace.repo_id import is_repo_id

HoldoutKind = Literal["name", "names", "architecture", "subset", "family", "after"]
Subset = Literal["Systematic", "Manual", "Commercial"]

#: What means the generators of one TOML file, or of all in a folder (`crawler.recipe_files`): recorded as their names.
_FILE = "file"
_HUB_PAGE = re.compile(r"https://huggingface\.co/([^/\s]+/[^/\s]+)/?")

#: What generators and images are for, in this order: what two of them share belongs to the later one.
Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Holdout:
    """Generators of the catalogue that are not for training."""

    kind: HoldoutKind
    value: str

    def __str__(self) -> str:
        return f"{self.kind}={self.value}"

    def covers(self, entry: CatalogEntry) -> bool:
        """Whether it holds a generator out; `after`: the generator first appeared after that day, UTC."""
        if self.kind == "name":
            return entry.model_name == self.value
        if self.kind == "names":
            return entry.model_name in self.value.split(",")
        if self.kind == "subset":
            return entry.subset == self.value
        if self.kind == "architecture":
            return entry.architecture == self.value
        if self.kind == "family":
            return self.value in own_ancestors(entry)
        return entry.created_at is not None and entry.created_at[:10] > self.value


@dataclass(frozen=True)
class Holdouts:
    """The generators that are held out, for `test` and for `validation`; the others are for training."""

    test: tuple[Holdout, ...] = ()
    validation: tuple[Holdout, ...] = ()

    @classmethod
    def parse(cls, test: Iterable[str] = (), validation: Iterable[str] = ()) -> "Holdouts":
        """Read the values of --holdout and of --validation. Raises `UsageError` as `parse_holdouts`."""
        return cls(tuple(parse_holdouts(test)), tuple(parse_holdouts(validation, "--validation")))

    def __str__(self) -> str:
        test = [f"--holdout {holdout}" for holdout in self.test]
        return " ".join([*test, *(f"--validation {holdout}" for holdout in self.validation)])

    def split_of(self, entry: CatalogEntry) -> Split:
        """What a generator is for, by itself: `test` where both name it, but a date only where no other kind does."""
        for dated in (False, True):
            if self.covers(entry, "test", dated):
                return "test"
            if self.covers(entry, "validation", dated):
                return "validation"
        return "train"

    def covers(self, entry: CatalogEntry, split: Literal["validation", "test"], dated: bool) -> bool:
        """Whether a holdout of that split covers a generator; `dated`: one by a date, else one of another kind."""
        holdouts = self.test if split == "test" else self.validation
        return any(holdout.covers(entry) for holdout in holdouts if (holdout.kind == "after") is dated)

    def require_known(self, catalog: Sequence[CatalogEntry]) -> None:
        """Raise `UsageError` for a holdout that covers no generator, because a spelling mistake would leave a split
        empty; one that was removed from the workspace is none."""
        for option, holdouts in (("--holdout", self.test), ("--validation", self.validation)):
            for holdout in holdouts:
                if not is_pseudonym(holdout.value) and not any(holdout.covers(entry) for entry in catalog):
                    raise UsageError(f"{option} {holdout}: the catalogue has no such generator; check the spelling")


def parse_holdouts(texts: Iterable[str], option: str = "--holdout") -> list[Holdout]:
    """Read holdouts, each KIND=VALUE; repeated ones count once. Raises `UsageError` for anything else."""
    return [_parse(text, option) for text in dict.fromkeys(texts)]


def own_ancestors(entry: CatalogEntry) -> set[str]:
    """The generator itself and the ancestors that its own entry names."""
    return {entry.model_name, *entry.lineage} | ({entry.base_model} if entry.base_model is not None else set())


def _parse(text: str, option: str) -> Holdout:
    kind, _, value = text.partition("=")
    if kind == _FILE and value:
        return Holdout("names", ",".join(_names_in(f"{option} {text}", Path(value))))
    for known in get_args(HoldoutKind):
        if kind == known and value:
            _check(f"{option} {text}", kind, value)
            return Holdout(known, value)
    raise UsageError(
        f"{option} {text}: must be name=ORG/NAME, family=ORG/BASE, architecture=PixDiff, "
        "subset=Commercial, file=FILE.toml or after=2026-01-31"
    )


def _check(given: str, kind: str, value: str) -> None:
    if kind == "architecture" and value not in get_args(Architecture):
        raise UsageError(f"{given}: the architectures are {', '.join(get_args(Architecture))}")
    if kind == "subset" and value not in get_args(Subset):
        raise UsageError(f"{given}: the subsets are {', '.join(get_args(Subset))}")
    if kind == "after":
        try:
            day = date.fromisoformat(value)
        except ValueError:
            day = None
        if day is None or day.isoformat() != value:
            raise UsageError(f"{given}: {value!r} is not a date such as 2026-01-31")


def _names_in(given: str, path: Path) -> list[str]:
    """The names of the generators of a TOML file, or of all in a folder, and those of their pages on the Hub."""
    files = sorted(path.glob("*.toml")) if path.is_dir() else [path]
    names: set[str] = set()
    for file in files:
        try:
            tables = tomllib.loads(file.read_text(encoding="utf-8-sig"))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{given}: {file} is no TOML file of generators ({error})") from error
        for name, table in tables.items():
            names.add(name)
            page = _HUB_PAGE.fullmatch(str(table.get("link", ""))) if isinstance(table, dict) else None
            names |= {page[1]} if page else set()
    if not names or any("," in name or not is_repo_id(name) for name in names):
        raise UsageError(f"{given}: name a TOML file of generators, or a folder of such files")
    return sorted(names)
