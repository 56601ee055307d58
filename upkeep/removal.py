"""Removing: generators and real images out of every file of a workspace, so that no later run makes them again.

The tombstones are written first (`workspace/removed.py`), then one kind of file after the other is cleared. Every step
depends on nothing but what is there and what is to be removed, and may be repeated: a removal that was killed is
completed by the same command, and until then no stage works in the workspace. What other generators made stays byte for
byte.
"""

import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq

from captioning.prompt import Prompt, prompt_parts, read_part
from captioning.removed_prompts import read_removed, separated, write_removed
from crawler.catalog import CatalogEntry, read_catalog
from crawler.removal import without_removed
from upkeep.options import RemoveOptions
from upkeep.removal_report import RemovalReport
from upkeep.sample_rows import clear_rows
from upkeep.survey import files_of, survey
from upkeep.targets import Targets, find_targets
from upkeep.texts import drop_remarks, drop_rows_of_crawl, files_that_name, hide_names
from workspace import records
from workspace.errors import UsageError
from workspace.exclusive import (
    UPKEEP,
    begin_unfinished,
    end_unfinished,
    read_unfinished,
    require_finished,
    upkeep,
)
from workspace.layout import Workspace
from workspace.removed import Removals, read_removals, write_removals

COMMAND = "cf-remove"


def remove(workspace: Workspace, models: Sequence[str], options: RemoveOptions) -> RemovalReport:
    """Take generators, and the real images of the options, out of a workspace.

    `models`: each ORG/NAME, with all its revisions, or ORG/NAME@COMMIT. What was removed before is no error. Raises
    `UsageError` for what the workspace does not have, `CommunityForensicsError` while a stage is at work.
    """
    if not any(path.exists() for path in (workspace.catalog, workspace.prompts, workspace.removed)):
        raise UsageError(f"{workspace.root} is no workspace: name one with --workspace")
    with nullcontext() if options.dry_run else upkeep(workspace):
        completed = _complete(workspace, options.dry_run)
        removals = read_removals(workspace)
        targets = find_targets(workspace, models, options, removals, datetime.now(UTC).date().isoformat())
        found = survey(workspace, targets, options, removals)
        removal = _Removal(workspace, targets)
        if not options.dry_run:
            removal.run()
        own_files = files_that_name(workspace, removals.united(targets.tombstones))
        return replace(found, completed=completed, damaged=tuple(removal.damaged), own_files=tuple(own_files))


def _complete(workspace: Workspace, dry_run: bool) -> bool:
    """Complete a removal that was interrupted; returns whether there was one."""
    noted = read_unfinished(workspace)
    if noted is None:
        return False
    if noted["command"] != COMMAND:
        require_finished(workspace)
    if not dry_run:
        _Removal(workspace, Targets.of_note(noted)).steps()
    return True


@dataclass
class _Removal:
    """The steps, in order."""

    workspace: Workspace
    targets: Targets
    damaged: list[Path] = field(default_factory=list)
    """Files of rows that were removed because they cannot be read."""

    def run(self) -> None:
        """Remove the targets, or note what remains to be done."""
        begin_unfinished(self.workspace, COMMAND, **self.targets.note())
        self.steps()

    def steps(self) -> None:
        """All of them, whatever was done before."""
        workspace, targets = self.workspace, self.targets
        removals = read_removals(workspace).united(targets.tombstones)
        write_removals(workspace, removals)
        for folder in (workspace.manifest, workspace.report):
            remove_path(folder)
        for generator in targets.names:
            for path in files_of(workspace, generator):
                remove_path(path)
        self.damaged += apply_tombstones(workspace, removals)
        if targets.real:
            drop_remarks(workspace)
        _delete_leftovers(workspace)
        end_unfinished(workspace)


def apply_tombstones(workspace: Workspace, removals: Removals) -> list[Path]:
    """Clear the catalogue, the prompts and rows, copies of real images and texts of what was removed; the folders of
    generators are the caller's. Returns files of rows that were removed because they cannot be read."""
    damaged: list[Path] = []
    _clear_catalog(workspace, removals)
    drop_rows_of_crawl(workspace, removals)
    if any(row.what != "generator" for row in removals.rows):
        _clear_prompts(workspace, removals)
        _delete_copies(workspace, removals)
        places = {place.prompt_id: place.key for part in prompt_parts(workspace) for place in read_removed(part)}
        gone = {prompt_id for prompt_id, key in places.items() if removals.takes_generated(key)}
        damaged += clear_rows(workspace, places, gone)
    hide_names(workspace, removals)
    return damaged


def _clear_catalog(workspace: Workspace, removals: Removals) -> None:
    if not workspace.catalog.exists():
        return
    before = read_catalog(workspace)
    after = without_removed(before, removals)
    if after != before:
        records.write(workspace.catalog, CatalogEntry, after)


def _clear_prompts(workspace: Workspace, removals: Removals) -> None:
    for part in prompt_parts(workspace):
        table = records.read_table(part, Prompt, ["real_sha256", "license"])
        if not any(removals.real_image(row["real_sha256"], row["license"]) for row in table.to_pylist()):
            continue
        metadata = pq.read_schema(part).metadata
        kept, removed = separated(read_part(part), removals, read_removed(part))
        # First what takes their place: what is in both files is not removed yet.
        write_removed(part, removed)
        records.write(part, Prompt, kept, metadata=metadata)


def _delete_copies(workspace: Workspace, removals: Removals) -> None:
    """Delete the copies that `cf-caption --copy` made of removed real images: they are named by their sha256."""
    used = {path for part in prompt_parts(workspace) for path in _paths_in(part)}
    for path in workspace.real.glob("*/*/*"):
        name = path.relative_to(workspace.root).as_posix()
        if name not in used and removals.real_image(path.name.partition(".")[0], None) is not None:
            path.unlink(missing_ok=True)


def _paths_in(part: Path) -> list[str]:
    paths: list[str] = records.read_table(part, Prompt, ["real_path"])["real_path"].to_pylist()
    return paths


def _delete_leftovers(workspace: Workspace) -> None:
    """Delete what processes that were killed left: nobody else is at work."""
    for path in (*workspace.locks.glob("*/process-*"), *workspace.locks.glob("sample/claim-*")):
        if path.parent.name != UPKEEP:
            shutil.rmtree(path, ignore_errors=True)


def remove_path(path: Path) -> None:
    """Remove a file or a folder with all in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
