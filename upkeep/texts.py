"""Names of removed generators in the texts of a workspace: logs, outcomes, the recipe, rows of an interrupted crawl.

A line keeps its place, with a pseudonym for the name, because `cf-status` counts lines. Files are read with every byte
kept that is no UTF-8.
"""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import tomli_w

from workspace.atomic import write_bytes
from workspace.layout import Workspace
from workspace.removed import Removals
from workspace.roots import forget_roots

#: Files at the top of a workspace that are larger are no settings of a person.
_LARGEST_OWN = 10_000_000


def hide_names(workspace: Workspace, removals: Removals) -> None:
    """Hide the names of removed generators in the recipe, the logs and the outcomes, and forget where on this machine
    they are."""
    _hide_in_recipe(workspace, removals)
    forget_roots(workspace, lambda name: removals.hidden(name) != name)
    for path in _texts(workspace):
        content = _read(path)
        if (hidden := removals.hidden(content)) != content:
            write_bytes(path, hidden.encode(errors="surrogateescape"))


def drop_rows_of_crawl(workspace: Workspace, removals: Removals) -> None:
    """Drop the rows of removed generators that an interrupted crawl had finished, and of those that name one: these are
    inspected again."""
    for path in sorted(workspace.crawl.glob("*.jsonl")):
        lines = path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if not _is_of_removed(line, removals)]
        if len(kept) < len(lines):
            write_bytes(path, b"".join(kept))


def drop_remarks(workspace: Workspace) -> None:
    """Drop the lines of logs that name single real images, or may: remarks of captioning, and failures of checks."""
    for path in sorted(workspace.logs.glob("*.jsonl")):
        if not path.name.startswith(("caption", "manifest", "publish")):
            continue
        lines = path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if _event(line) not in ("remark", "checked", "sent")]
        if len(kept) < len(lines):
            write_bytes(path, b"".join(kept))


def files_that_name(workspace: Workspace, removals: Removals) -> list[Path]:
    """Files at the top of the workspace, such as settings that a person wrote, that name a removed generator."""
    found = []
    for path in sorted(workspace.root.iterdir()):
        if path.is_symlink() or not path.is_file() or path.suffix == ".parquet" or path == workspace.unfinished:
            continue
        if path.stat().st_size <= _LARGEST_OWN and removals.hidden(content := _read(path)) != content:
            found.append(path)
    return found


def _hide_in_recipe(workspace: Workspace, removals: Removals) -> None:
    if not workspace.recipe.exists():
        return
    tables = tomllib.loads(workspace.recipe.read_text(encoding="utf-8"))
    if (hidden := removals.hidden_values(tables)) != tables:
        write_bytes(workspace.recipe, tomli_w.dumps(hidden).encode())


def _texts(workspace: Workspace) -> Iterator[Path]:
    if workspace.logs.is_dir():
        yield from (path for path in sorted(workspace.logs.rglob("*")) if path.is_file() and not path.is_symlink())
    yield from sorted(workspace.outcomes.glob("*.json"))


def _is_of_removed(line: bytes, removals: Removals) -> bool:
    text = line.decode(errors="surrogateescape")
    if removals.hidden(text) != text:
        return True
    try:
        row = json.loads(line)
        return removals.generator(row["model_name"], row["revision"]) is not None
    except (ValueError, TypeError, KeyError):
        return False  # incomplete: the crawl was killed, and reads it no more


def _event(line: bytes) -> object:
    try:
        event: object = json.loads(line)["event"]
    except (ValueError, TypeError, KeyError):
        return None
    return event


def _read(path: Path) -> str:
    return path.read_bytes().decode(errors="surrogateescape")
