"""Merging: workspaces that were made with one catalogue and recipe become one.

A generator's files are taken from the workspace that has the most of it (`generator_choice`), all of them; parts and
images as they are. So the result is what one workspace would have had all along. Every step depends on nothing but
what the workspaces have, and may be repeated: a merge that was killed is completed by the same command.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import tomli_w

from crawler.catalog import read_catalog
from samplers.provider.ledger import LEDGER
from upkeep.agreement import AgreedPrompts, agreed_prompts, agreed_recipe, require_one_catalog
from upkeep.generator_choice import Chosen, choose
from upkeep.options import MergeOptions
from upkeep.placing import Placing
from upkeep.removal import apply_tombstones, remove_path
from upkeep.survey import files_of
from upkeep.targets import generator_named
from workspace import recipe
from workspace.atomic import write_bytes
from workspace.errors import UsageError
from workspace.exclusive import begin_unfinished, end_unfinished, read_unfinished, require_finished, upkeep
from workspace.layout import Workspace, generator_of
from workspace.number_text import counted
from workspace.recipe import Tables
from workspace.removed import Removals, read_removals, write_removals
from workspace.roots import read_places, read_roots, record_roots

COMMAND = "cf-merge"
#: Files at the top of a workspace that are merged one by one.
_KNOWN = ("recipe.toml", "roots.toml", "catalog.parquet", "removed.parquet")


@dataclass(frozen=True)
class Merged:
    """What was merged, or would be (`dry_run`)."""

    target: Path
    dry_run: bool
    generators: dict[str, list[str]]
    """The generators whose files were taken from a workspace, by its path."""
    parts: int
    """Parts of prompts that were taken."""
    removed: int
    """Tombstones that the target did not have."""
    remarks: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """The same, for the terminal."""
        would = "would be taken" if self.dry_run else "taken"
        for root, generators in self.generators.items():
            yield f"{counted(len(generators), 'generator')} {would} from {root}"
        if self.parts:
            yield f"{counted(self.parts, 'part')} of prompts {would}"
        if self.removed:
            yield f"{counted(self.removed, 'removal')} {would}, and made in the whole"
        yield from self.remarks
        if not self.generators and not self.parts and not self.removed:
            yield "nothing was missing"
        yield f"{self.target}: run `cf-build-manifest` for the manifest of all"


def merge(workspaces: Sequence[Path | str], options: MergeOptions = MergeOptions()) -> Merged:
    """Make one workspace of several: `options.into`, or the first of them.

    Raises `UsageError` for workspaces of other recipes, catalogues or prompts, with the differences;
    `CommunityForensicsError` while a stage is at work in one of them.
    """
    opened = [Workspace(Path(path).resolve()) for path in workspaces]
    for workspace in opened:
        if not workspace.catalog.exists():
            raise UsageError(f"{workspace.root} is no workspace with a catalogue: name the folder of one")
    target = _target(opened, options)
    every = list(dict.fromkeys([target, *opened]))
    if len(every) < 2 + (options.into is not None and target not in opened):
        raise UsageError("name at least two workspaces")
    with ExitStack() as stack:
        if not options.dry_run:
            for workspace in every:
                if workspace == target or os.access(workspace.root, os.W_OK):
                    stack.enter_context(upkeep(workspace))
        return _Merge(target, [one for one in every if one.catalog.exists()], options).run()


def _target(workspaces: Sequence[Workspace], options: MergeOptions) -> Workspace:
    if options.into is None:
        return workspaces[0]
    folder = Path(options.into).resolve()
    target = Workspace(folder)
    is_there = folder.exists() and any(folder.iterdir())
    if is_there and not target.catalog.exists() and read_unfinished(target) is None:
        raise UsageError(f"--into {options.into} is not empty, and no workspace: name a new folder")
    return target if options.dry_run else Workspace.open(folder)


@dataclass
class _Merge:
    target: Workspace
    workspaces: list[Workspace]
    """Those with a catalogue: the target first, if it is one of them."""
    options: MergeOptions
    remarks: list[str] = field(default_factory=list)

    def run(self) -> Merged:
        """Check everything, then place what the target lacks."""
        for workspace in self.workspaces:
            noted = read_unfinished(workspace)
            if noted is not None and (workspace != self.target or noted["command"] != COMMAND):
                require_finished(workspace)
        of_target = read_removals(self.target)
        removals = of_target
        for workspace in self.workspaces:
            removals = removals.united(read_removals(workspace).rows)
        tables = agreed_recipe(self.workspaces, removals)
        require_one_catalog(self.workspaces, removals)
        prompts = agreed_prompts(self.workspaces, removals)
        self.remarks += prompts.remarks
        chosen = self._chosen(removals)
        taken = {name: one for name, one in chosen.items() if one.having.workspace != self.target}
        parts = [path for path, workspace in prompts.parts.items() if workspace != self.target]
        if not self.options.dry_run:
            begin_unfinished(self.target, COMMAND, workspaces=[str(one.root) for one in self.workspaces])
            self._place(tables, removals, prompts, taken)
            end_unfinished(self.target)
        generators: dict[str, list[str]] = {}
        for name, one in sorted(taken.items()):
            generators.setdefault(str(one.having.workspace.root), []).append(name)
        added = len(removals.rows) - len(of_target.rows)
        return Merged(self.target.root, self.options.dry_run, generators, len(parts), added, tuple(self.remarks))

    def _chosen(self, removals: Removals) -> dict[str, Chosen]:
        chosen: dict[str, Chosen] = {}
        for name in sorted(_generators(self.workspaces) - _removed(self.workspaces, removals)):
            if (choice := choose(name, self.workspaces)) is not None:
                chosen[name] = choice
                self.remarks += choice.remarks
                self._compare_ledgers(name, choice.having.workspace)
        return chosen

    def _compare_ledgers(self, name: str, source: Workspace) -> None:
        """Say which ledgers of a generator stay where they are; raise `UsageError` where one would be replaced."""
        kept = _ledger(source, name)
        for one in self.workspaces:
            if kept.startswith(_ledger(one, name)):
                continue
            if one == self.target:
                raise UsageError(
                    f"{name}: {one.root} and {source.root} both requested images of its provider, and the ledger of "
                    "the first would be lost: merge into a new folder with --into"
                )
            self.remarks.append(
                f"{name}: what {one.root} requested of its provider is in its own {one.requests_of(name)} only"
            )

    def _place(
        self, tables: Sequence[Tables], removals: Removals, prompts: AgreedPrompts, taken: dict[str, Chosen]
    ) -> None:
        target, placing = self.target, Placing(self.target, self.options.copy)
        for name in _generators([target]) & _removed(self.workspaces, removals):
            for gone in files_of(target, name):
                remove_path(gone)
        if removals.rows != read_removals(target).rows:
            for folder in (target.manifest, target.report):  # they may show what was removed
                remove_path(folder)
            write_removals(target, removals)
        self._place_recipe(tables, placing)
        if not target.catalog.exists():
            placing.file(self.workspaces[0].catalog, "catalog.parquet")
        for part, workspace in prompts.parts.items():
            if workspace != target:
                self._place_part(placing, workspace, part)
        for name, one in taken.items():
            source = one.having.workspace
            for of in (Workspace.requests_of, Workspace.images_of, Workspace.samples_of):
                place = of(target, name).relative_to(target.root).as_posix()
                # What was requested, and paid for, is appended to.
                placing.folder(of(source, name), place, copy=of is Workspace.requests_of)
            outcome = source.outcome_of(name)
            if outcome.exists():
                placing.file(outcome, outcome.relative_to(source.root).as_posix())
        self._place_others(placing, removals)
        if removals.rows:
            apply_tombstones(target, removals)
        placing.finish()

    def _place_recipe(self, tables: Sequence[Tables], placing: Placing) -> None:
        """Of a workspace that has all of it, byte for byte; otherwise written anew."""
        for workspace in self.workspaces:
            if [one.tables for one in recipe.rounds(workspace)] == [*tables] and workspace.recipe.exists():
                placing.file(workspace.recipe, "recipe.toml", copy=True)
                return
        first, *later = tables
        content = dict(first) | ({"round": {str(n): one for n, one in enumerate(later, start=2)}} if later else {})
        write_bytes(self.target.recipe, tomli_w.dumps(content).encode())

    def _place_part(self, placing: Placing, workspace: Workspace, path: str) -> None:
        """A part of prompts, after what belongs to it."""
        part = workspace.root / path
        number = part.stem.partition("-")[2]
        for kind in ("skipped", "removed", "part"):
            source = part.with_name(f"{kind}-{number}.parquet")
            if source.exists():
                placing.file(source, source.relative_to(workspace.root).as_posix())

    def _place_others(self, placing: Placing, removals: Removals) -> None:
        """Copies of real images, logs, roots, and what a person has put beside them."""
        target = self.target
        for workspace in self.workspaces:
            for path in sorted(workspace.real.rglob("*")):
                name = path.relative_to(workspace.root).as_posix()
                if path.is_symlink():
                    self.remarks.append(f"{path} is a link, and was not taken")
                elif path.is_file() and not (target.root / name).exists():
                    placing.file(path, name)
            for path in sorted(workspace.root.glob("*")):
                if not path.is_file() or path.name in _KNOWN or path.name.startswith("."):
                    continue
                if path.is_symlink():
                    self.remarks.append(f"{path} is a link, and was not taken")
                elif not (target.root / path.name).exists():
                    placing.file(path, path.name, copy=True)
                elif (target.root / path.name).read_bytes() != path.read_bytes():
                    self.remarks.append(f"{path} differs from {target.root / path.name}, which stays")
        every = self.workspaces if target in self.workspaces else [target, *self.workspaces]
        placing.logs(every, lambda name: removals.generator(generator_named(name).partition("@")[0]) is not None)
        roots: dict[str, str] = {}
        for workspace in self.workspaces:
            known = {**read_roots(workspace), **{name: str(place) for name, place in read_places(workspace).items()}}
            for name, folder in known.items():
                if roots.setdefault(name, folder) != folder:
                    self.remarks.append(f"root {name}: {folder} in {workspace.root}; {roots[name]} counts")
        record_roots(target, {name: Path(folder) for name, folder in roots.items()})


def _ledger(workspace: Workspace, generator: str) -> bytes:
    """The ledger of a generator, to which lines are only added; empty where there is none."""
    path = workspace.requests_of(generator) / LEDGER
    return path.read_bytes() if path.exists() else b""


def _generators(workspaces: Sequence[Workspace]) -> set[str]:
    """The generators that have a file in one of them."""
    names = {
        generator_of(path.name)
        for workspace in workspaces
        for area in (workspace.samples, workspace.images, workspace.requests)
        for path in area.glob("*")
        if path.is_dir()
    }
    outcomes = (path for workspace in workspaces for path in workspace.outcomes.glob("*.json"))
    return names | {generator_of(path.name.removesuffix(".json")) for path in outcomes}


def _removed(workspaces: Sequence[Workspace], removals: Removals) -> set[str]:
    """The generators with a file in one of these workspaces that were removed, in whichever of them."""
    entries = [entry for workspace in workspaces for entry in read_catalog(workspace)] if removals.rows else []
    gone = {entry.generator for entry in entries if removals.generator(entry.model_name, entry.revision) is not None}
    names = _generators(workspaces)
    return {name for name in names if name in gone or removals.generator(name.partition("@")[0]) is not None}
