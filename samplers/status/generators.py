"""How far the generators of a workspace are: from the catalogue, the outcomes, and rows without an outcome.

Files are read once, and again when they have changed. Rows are opened only for generators without an outcome, or whose
outcome is of a former round and that were sampled since: one for each running shard. So the status of thousands of
generators costs a listing of the folder of outcomes.
"""

import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from crawler.catalog import read_catalog
from samplers.outcomes import Outcome, read_outcome
from samplers.recipe import Recipe, recorded_recipes
from samplers.segments import Segment, segments_of
from samplers.status.failure import Failure, failure_of
from samplers.storage.progress import progress_of
from samplers.storage.segment_progress import is_complete, progress_by_segment
from workspace.errors import UsageError
from workspace.layout import Workspace, generator_of

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A generator of the catalogue."""

    name: str
    revision: str
    compatible: bool
    asked: tuple[Segment, ...]
    """The samples that the rounds of the recipe ask for."""


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """What the rows of a generator tell."""

    kept: int = 0
    complete: bool = False
    damage: str | None = None
    """What cannot be read, and what to do."""


@dataclass(frozen=True, kw_only=True)
class GeneratorCounts:
    """Generators and images, by how sampling them ended."""

    generators: int
    done: int
    exhausted: int
    failed: int
    ends: Mapping[str, int]
    images: int
    failures: tuple[Failure, ...]
    damaged: Mapping[str, str]


class _Changed(Generic[T]):
    """What was read from a file or folder, until it changes."""

    def __init__(self, read: Callable[[Path], T]) -> None:
        self._read = read
        self._known: dict[str, tuple[tuple[int, int, int], T]] = {}

    def value(self, path: Path | os.DirEntry[str]) -> T:
        """The value of a file. Raises `OSError` where it does not exist."""
        found = path.stat()
        key = (found.st_mtime_ns, found.st_size, found.st_ino)
        known = self._known.get(os.fspath(path))
        if known is None or known[0] != key:
            known = self._known[os.fspath(path)] = (key, self._read(Path(path)))
        return known[1]


class Generators:
    """Reads how far the generators are, again and again."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._recipes: tuple[Recipe, ...] | None = None
        self._listed: dict[str, Listed] = {}
        self._outcomes = _Changed(self._read_outcome)
        self._forget()

    def look(self) -> GeneratorCounts:
        """The counts now. Raises `UsageError` without a catalogue."""
        listed = self._look_at_catalogue()
        outcomes = self._look_at_outcomes()
        damaged: dict[str, str] = {}
        ended: list[Outcome] = []
        others: list[_Rows] = []
        for one in listed:
            outcome, written = outcomes.get(one.name, (None, 0))
            if isinstance(outcome, UsageError):
                damaged[one.name] = str(outcome)
                outcome = None
            if outcome is not None and outcome.revision != one.revision:
                outcome = None
            # Also of pickles, which the catalogue calls incompatible, where they are allowed.
            if outcome is not None and not _is_former(outcome, one.asked):
                ended.append(outcome)
            elif one.compatible or outcome is not None:
                rows = self._look_at_rows(one, outcome, written)
                others.append(rows)
                if rows.damage is not None:
                    damaged[one.name] = rows.damage
        ends = Counter(outcome.end for outcome in ended)
        ends["done"] += sum(rows.complete for rows in others)
        failures = [failure_of(self._workspace, outcome) for outcome in ended if outcome.failed]
        return GeneratorCounts(
            generators=len(ended) + len(others),
            done=ends["done"],
            exhausted=ends["exhausted"],
            failed=len(failures),
            ends=dict(sorted((+ends).items())),
            images=sum(rows.kept for rows in others) + sum(outcome.kept for outcome in ended),
            failures=tuple(sorted(failures, key=lambda failure: (failure.end, failure.generator))),
            damaged=damaged,
        )

    def _look_at_catalogue(self) -> Collection[Listed]:
        recipes = recorded_recipes(self._workspace)
        if recipes != self._recipes:
            self._recipes = recipes
            self._forget()
        catalog = self._workspace.catalog
        try:
            listed = self._catalogue.value(catalog)
        except FileNotFoundError:
            raise UsageError(
                f"{catalog} does not exist: name the --workspace of a run, or run `cf-crawl` first"
            ) from None
        if listed is not self._listed:
            self._listed = listed
            self._rows = _Changed(self._read_rows)
        return listed.values()

    def _forget(self) -> None:
        """Read everything again that depends on the recipe."""
        self._catalogue = _Changed(lambda _: self._read_catalogue())
        self._rows = _Changed(self._read_rows)

    def _read_catalogue(self) -> dict[str, Listed]:
        return {
            entry.generator: Listed(
                name=entry.generator,
                revision=entry.revision,
                compatible=entry.status == "compatible",
                asked=segments_of(entry, self._recipes or ()),
            )
            for entry in read_catalog(self._workspace)
        }

    def _look_at_outcomes(self) -> dict[str, tuple[Outcome | UsageError | None, int]]:
        """By generator: its outcome, or an error where the file is none; and when it was written, nanoseconds."""
        try:
            with os.scandir(self._workspace.outcomes) as entries:
                files = [entry for entry in entries if entry.name.endswith(".json") and not entry.name.startswith(".")]
        except FileNotFoundError:
            return {}
        found: dict[str, tuple[Outcome | UsageError | None, int]] = {}
        for file in files:
            # Removed since the folder was listed.
            with suppress(FileNotFoundError):
                name = generator_of(file.name.removesuffix(".json"))
                found[name] = (self._outcomes.value(file), file.stat().st_mtime_ns)
        return found

    def _read_outcome(self, path: Path) -> Outcome | UsageError | None:
        try:
            return read_outcome(self._workspace, generator_of(path.name.removesuffix(".json")))
        except UsageError as error:
            return error

    def _look_at_rows(self, listed: Listed, former: Outcome | None, written: int) -> _Rows:
        """What the rows of a generator tell that has no outcome, or one of a `former` round, `written` at that time."""
        folder = self._workspace.samples_of(listed.name)
        try:
            if former is not None and folder.stat().st_mtime_ns <= written:
                # Nothing was sampled since.
                return _Rows(kept=former.kept)
            return self._rows.value(folder)
        except FileNotFoundError:
            return _Rows()

    def _read_rows(self, folder: Path) -> _Rows:
        name = generator_of(folder.name)
        try:
            progress = progress_of(self._workspace, name)
        except UsageError as error:
            return _Rows(damage=str(error))
        asked = self._listed[name].asked
        gaps = [gap for one in progress_by_segment(progress, asked) for gap in one.gaps]
        damage = None
        if progress.damaged:
            damage = f"{progress.damaged[0]} is damaged: run `cf-sample`, which makes it again"
        elif gaps:
            first, stop = gaps[0]
            damage = f"{folder}: no rows of samples {first} to {stop - 1}: run `cf-sample`, which makes them again"
        return _Rows(kept=len(progress.kept), complete=bool(asked) and is_complete(progress, asked), damage=damage)


def _is_former(outcome: Outcome, asked: Sequence[Segment]) -> bool:
    """Whether a newer round asks for more images than those that the outcome is of."""
    return not outcome.failed and any(outcome.round < segment.recipe.round for segment in asked)
