"""Whether workspaces were made with one recipe, one catalogue and the same prompts, so that they can be one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from captioning.prompt import Prompt, prompt_parts
from captioning.removed_prompts import RemovedPrompt, read_removed, separated
from crawler.catalog import CatalogEntry, read_catalog
from crawler.removal import without_removed
from workspace import recipe, records
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.recipe import Tables
from workspace.removed import Removals

#: Columns that say when and where a generator was crawled, not how it is sampled.
_OF_A_CRAWL = frozenset({"rank", "downloads", "downloads_all_time", "likes", "endpoint", "last_modified", "crawled_at"})
#: Differences that a message names.
_NAMED = 5


def agreed_recipe(workspaces: Sequence[Workspace], removals: Removals) -> list[Tables]:
    """The tables of all rounds, of all workspaces together: one may lack what it has not run yet.

    Raises `UsageError` with the differences where two have the same table with other settings.
    """
    agreed: list[Tables] = []
    for workspace in workspaces:
        for number, one in enumerate(recipe.rounds(workspace)):
            if number == len(agreed):
                agreed.append({})
            for stage, table in removals.hidden_values(one.tables).items():
                known = agreed[number].setdefault(stage, table)
                if differences := recipe.differences_of(known, table):
                    of_round = f" of round {number + 1}" if number else ""
                    raise UsageError(
                        f"{workspace.root} was made with another recipe than {workspaces[0].root}: [{stage}]{of_round} "
                        f"{'; '.join(differences)}. Workspaces of other recipes cannot be merged"
                    )
    return agreed


def require_one_catalog(workspaces: Sequence[Workspace], removals: Removals) -> None:
    """Raise `UsageError` where the catalogue of one workspace, without what any of them removed, has other generators
    than that of the first, or describes one in another way."""
    first, *others = (
        (workspace, without_removed(read_catalog(workspace), removals))
        for workspace in workspaces
        if workspace.catalog.exists()
    )
    known = {entry.generator: entry for entry in first[1]}
    for workspace, catalog in others:
        entries = {entry.generator: entry for entry in catalog}
        wrong = [f"{name} is only in {first[0].root}" for name in sorted(known.keys() - entries.keys())]
        wrong += [f"{name} is only in {workspace.root}" for name in sorted(entries.keys() - known.keys())]
        wrong += [
            f"{name} differs in {', '.join(differing)}"
            for name, entry in sorted(entries.items())
            if name in known and (differing := list(_differing(known[name], entry)))
        ]
        if wrong:
            more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
            raise UsageError(
                f"{workspace.root} has another catalogue than {first[0].root}: {'; '.join(wrong[:_NAMED])}{more}. Only "
                "workspaces with one catalogue can be merged: copy catalog.parquet before sampling"
            )


@dataclass(frozen=True)
class AgreedPrompts:
    """The prompt parts of several workspaces by their path below the workspace, each with the workspace that it is to
    be taken from; and remarks."""

    parts: Mapping[str, Workspace]
    remarks: tuple[str, ...]


def agreed_prompts(workspaces: Sequence[Workspace], removals: Removals) -> AgreedPrompts:
    """Compare the prompt parts. Raises `UsageError` where two have other prompts in one part, or a part is damaged in
    all that have it."""
    parts: dict[str, Workspace] = {}
    remarks: list[str] = []
    having: dict[str, list[Workspace]] = {}
    for workspace in workspaces:
        for part in prompt_parts(workspace):
            having.setdefault(part.relative_to(workspace.root).as_posix(), []).append(workspace)
    for path, those in sorted(having.items()):
        read: list[tuple[Workspace, tuple[list[Prompt], list[RemovedPrompt]]]] = []
        for workspace in those:
            try:
                read.append((workspace, _read(workspace.root / path, removals)))
            except records.DamagedFileError:
                remarks.append(f"{workspace.root / path} is damaged; another workspace has it")
        if not read:
            raise UsageError(f"{those[0].root / path} is damaged in all workspaces: run `cf-caption` in one again")
        (first, content), *others = read
        for workspace, other in others:
            if other != content:
                raise UsageError(
                    f"{workspace.root / path} has other prompts than {first.root / path}: only workspaces with the "
                    "same prompts can be merged: copy prompts/ before sampling"
                )
        parts[path] = first
    return AgreedPrompts(parts, tuple(remarks))


def _read(part: Path, removals: Removals) -> tuple[list[Prompt], list[RemovedPrompt]]:
    return separated(records.read(part, Prompt), removals, read_removed(part))


def _differing(one: CatalogEntry, other: CatalogEntry) -> Iterator[str]:
    for field in fields(CatalogEntry):
        if field.name not in _OF_A_CRAWL and getattr(one, field.name) != getattr(other, field.name):
            yield field.name
