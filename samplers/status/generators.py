"""How far the generators of a workspace are: from the catalogue, the outcomes, and rows without an outcome.

Files are read once, and again when they have changed. Rows are opened only for generators without an outcome, one for
each running shard; so the status of thousands of generators costs a listing of the folder of outcomes.
"""

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from crawler.catalog import CatalogEntry
from samplers.outcomes import Outcome, read_outcome
from samplers.status.failure import Failure, failure_of
from samplers.storage.progress import progress_of
from workspace import recipe, records
from workspace.errors import UsageError
from workspace.layout import Workspace, generator_folder, generator_name, generator_of

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A generator of the catalogue."""

    name: str
    revision: str
    compatible: bool


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
    """What was read from a file, until the file changes."""

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
        self._catalogue = _Changed(_listed)
        self._outcomes = _Changed(self._read_outcome)

    def look(self) -> GeneratorCounts:
        """The counts now. Raises `UsageError` without a catalogue."""
        catalog = self._workspace.catalog
        try:
            listed = self._catalogue.value(catalog)
        except FileNotFoundError:
            raise UsageError(
                f"{catalog} does not exist: name the --workspace of a run, or run `cf-crawl` first"
            ) from None
        outcomes = self._look_at_outcomes()
        damaged: dict[str, str] = {}
        ended: list[Outcome] = []
        open_names: list[str] = []
        for one in listed:
            outcome = outcomes.get(one.name)
            if isinstance(outcome, UsageError):
                damaged[one.name] = str(outcome)
            elif outcome is not None and outcome.revision == one.revision:
                # Also of pickles, which the catalogue calls incompatible, where they are allowed.
                ended.append(outcome)
                continue
            if one.compatible:
                open_names.append(one.name)
        ends = Counter(outcome.end for outcome in ended)
        kept, complete = self._without_outcome(open_names, damaged)
        ends["done"] += complete
        failures = [failure_of(self._workspace, outcome) for outcome in ended if outcome.failed]
        return GeneratorCounts(
            generators=len(ended) + len(open_names),
            done=ends["done"],
            exhausted=ends["exhausted"],
            failed=len(failures),
            ends=dict(sorted((+ends).items())),
            images=kept + sum(outcome.kept for outcome in ended),
            failures=tuple(sorted(failures, key=lambda failure: (failure.end, failure.generator))),
            damaged=damaged,
        )

    def _look_at_outcomes(self) -> dict[str, Outcome | UsageError | None]:
        """By generator; an error where the file is no outcome."""
        try:
            with os.scandir(self._workspace.outcomes) as entries:
                files = [entry for entry in entries if entry.name.endswith(".json") and not entry.name.startswith(".")]
        except FileNotFoundError:
            return {}
        found: dict[str, Outcome | UsageError | None] = {}
        for file in files:
            try:
                found[generator_of(file.name.removesuffix(".json"))] = self._outcomes.value(file)
            except FileNotFoundError:
                # Removed since the folder was listed.
                continue
        return found

    def _read_outcome(self, path: Path) -> Outcome | UsageError | None:
        try:
            return read_outcome(self._workspace, generator_of(path.stem))
        except UsageError as error:
            return error

    def _without_outcome(self, names: list[str], damaged: dict[str, str]) -> tuple[int, int]:
        """The number of images of generators without an outcome, and how many of these are complete; those of which a
        part cannot be read are added to `damaged`."""
        folders = {path.name for path in self._workspace.samples.iterdir()} if self._workspace.samples.is_dir() else {}
        images = recipe.read(self._workspace).get("sample", {}).get("images")
        kept: list[int] = []
        for name in names:
            if generator_folder(name) in folders:
                try:
                    progress = progress_of(self._workspace, name)
                except UsageError as error:
                    damaged[name] = str(error)
                    continue
                kept.append(len(progress.kept))
                if progress.damaged:
                    damaged[name] = f"{progress.damaged[0]} is damaged: run `cf-sample`, which makes it again"
                elif progress.gaps:
                    first, stop = progress.gaps[0]
                    folder = self._workspace.samples_of(name)
                    damaged[name] = (
                        f"{folder}: no rows of samples {first} to {stop - 1}: run `cf-sample`, which makes them again"
                    )
        return sum(kept), sum(isinstance(images, int) and count >= images for count in kept)


def _listed(catalog: Path) -> tuple[Listed, ...]:
    """The generators of a catalogue; only four columns are read."""
    columns = ("model_name", "revision", "further_revision", "status")
    table = records.read_table(catalog, CatalogEntry, columns)
    rows = zip(*(table.column(name).to_pylist() for name in columns), strict=True)
    return tuple(
        Listed(name=generator_name(name, revision, further), revision=revision, compatible=status == "compatible")
        for name, revision, further, status in rows
    )
