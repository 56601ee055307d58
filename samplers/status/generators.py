"""How far the generators of a workspace are: from the catalogue, the outcomes, and rows without an outcome.

Files are read once, and again when they have changed; of what grows, only what is new. Rows are opened only for
generators without an outcome, or whose outcome is of a former round and that were sampled since: one for each running
shard. So the status of thousands of generators costs a listing of the folders of outcomes and of samples, and a call
for each generator that may change.
"""

import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from crawler.catalog import read_catalog
from samplers.outcomes import Outcome, read_outcome
from samplers.planning.recipe import Recipe, recorded_recipes
from samplers.planning.segments import Segment, segments_of
from samplers.status.failure import Failure, failure_of
from samplers.storage.progress import GeneratorProgress, ReadJournal, progress_of
from samplers.storage.segment_progress import is_complete
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
        # By generator: the number of the file of its outcome, what is in it, and when it was written.
        self._ended: dict[str, tuple[int, Outcome | UsageError | None, int]] = {}
        self._read: dict[str, _Read] = {}
        self._sampled: frozenset[str] = frozenset()
        self._forget()

    def look(self) -> GeneratorCounts:
        """The counts now. Raises `UsageError` without a catalogue."""
        listed = self._look_at_catalogue()
        outcomes = self._look_at_outcomes()
        self._sampled = _names_in(self._workspace.samples)
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
            self._read = {}
        return listed.values()

    def _forget(self) -> None:
        """Read everything again that depends on the recipe."""
        self._catalogue = _Changed(lambda _: self._read_catalogue())
        self._read = {}

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
        ended: dict[str, tuple[int, Outcome | UsageError | None, int]] = {}
        for file in files:
            # Removed since the folder was listed.
            with suppress(FileNotFoundError):
                name = generator_of(file.name.removesuffix(".json"))
                ended[name] = self._outcome(name, file)
        self._ended = ended
        return {name: (outcome, written) for name, (_, outcome, written) in ended.items()}

    def _outcome(self, name: str, file: os.DirEntry[str]) -> tuple[int, Outcome | UsageError | None, int]:
        known = self._ended.get(name)
        if known is not None and known[0] == file.inode():
            outcome = known[1]
            # An outcome is another file each time that it is written. One that is final is written once again at most,
            # so its number says whether it is the same, and a listing has that; of others also the time.
            if isinstance(outcome, Outcome) and not outcome.failed:
                return known
            if file.stat().st_mtime_ns == known[2]:
                return known
        return file.inode(), self._read_outcome(Path(file)), file.stat().st_mtime_ns

    def _read_outcome(self, path: Path) -> Outcome | UsageError | None:
        try:
            return read_outcome(self._workspace, generator_of(path.name.removesuffix(".json")))
        except UsageError as error:
            return error

    def _look_at_rows(self, listed: Listed, former: Outcome | None, written: int) -> _Rows:
        """What the rows of a generator tell that has no outcome, or one of a `former` round, `written` at that time."""
        folder = self._workspace.samples_of(listed.name)
        if folder.name not in self._sampled:
            return _Rows()
        try:
            changed = folder.stat().st_mtime_ns
            if former is not None and changed <= written:
                # Nothing was sampled since.
                return _Rows(kept=former.kept)
            known = self._read.get(listed.name)
            # A journal grows without a change of its folder.
            if known is None or known.changed != changed or any(map(_has_grown, known.progress.journals)):
                known = self._read[listed.name] = self._read_rows(listed.name, changed, known)
            return known.rows
        except FileNotFoundError:
            return _Rows()

    def _read_rows(self, name: str, changed: int, known: "_Read | None") -> "_Read":
        progress = known.progress if known is not None else GeneratorProgress()
        try:
            # What was damaged may have been made again.
            progress = progress_of(self._workspace, name, replace(progress, damaged=()))
        except UsageError as error:
            return _Read(changed, GeneratorProgress(), _Rows(damage=str(error)))
        asked = self._listed[name].asked
        damage = None
        # A gap in the rows is none: several processes may be at it.
        if progress.damaged:
            damage = f"{progress.damaged[0]} is damaged: run `cf-sample`, which makes it again"
        complete = bool(asked) and is_complete(progress, asked)
        return _Read(changed, progress, _Rows(kept=len(progress.kept), complete=complete, damage=damage))


@dataclass(frozen=True)
class _Read:
    """What was read of a generator's rows, and when their folder had changed, in nanoseconds."""

    changed: int
    progress: GeneratorProgress
    rows: _Rows


def _has_grown(journal: ReadJournal) -> bool:
    """Whether a journal has more than was read. One that is gone became a part: its folder has changed too."""
    with suppress(FileNotFoundError):
        return journal.path.stat().st_size > journal.length
    return True


def _names_in(folder: Path) -> frozenset[str]:
    try:
        return frozenset(path.name for path in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()


def _is_former(outcome: Outcome, asked: Sequence[Segment]) -> bool:
    """Whether a newer round asks for more images than those that the outcome is of."""
    return not outcome.failed and any(outcome.round < segment.recipe.round for segment in asked)
