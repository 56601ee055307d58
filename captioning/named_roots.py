"""Named roots: below which root (`--root NAME=PATH`) the images of each source are.

Without any, a source has a root of its own, which is its folder and has its name. A root that holds several sources has
a name of its own, and one `--root` then moves them all. Which root a source is below is part of its rows, so it is in
the recipe; where the root is on this machine is not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from captioning.selection import Selection
from captioning.sources.registry import find_source
from workspace.errors import UsageError
from workspace.layout import checked_source


@dataclass(frozen=True)
class NamedRoots:
    """Selections that know their root; the `folders` of all roots on this machine, by name; and what the recipe says:
    for each source that is below a root of another name, NAME/FOLDER."""

    selections: list[Selection]
    folders: dict[str, Path]
    pinned: dict[str, str]


def folders_of(roots: Mapping[str, str | Path]) -> dict[str, Path]:
    """The folder of each `--root NAME=PATH`. Raises `UsageError` when it is none."""
    folders = {}
    for given, path in roots.items():
        name, folder = find_source(checked_source(given)).name, Path(path).expanduser().resolve()
        if not folder.is_dir():
            raise UsageError(f"--root {given}={path} is not a folder: name the one below which the real images are")
        folders[name] = folder
    return folders


def below_roots(selections: Sequence[Selection], given: Mapping[str, Path], pinned: Mapping[str, str]) -> NamedRoots:
    """Find the root of each selection: one of those `given` that holds its folder, or else the one that the recipe has
    `pinned`, or else its own.

    Raises `UsageError` for a root that holds no source, a pinned one that is not above a folder, and a name of two.
    """
    found: list[Selection] = []
    folders: dict[str, Path] = {}
    for selection in selections:
        if selection.folder is None:
            found.append(selection)
            continue
        root, folder = _root_of(selection, selection.folder, given, pinned.get(selection.source.name))
        name = root.partition("/")[0]
        if folders.setdefault(name, folder) != folder:
            raise UsageError(f"--root {name} is the name of two folders, {folders[name]} and {folder}: choose another")
        found.append(replace(selection, root=root))
    for name in given.keys() - folders.keys():
        raise UsageError(
            f"--root {name}={given[name]}: no --source, and no image of --prompts, is below it. Without these, --root "
            "says where the images of a captioned workspace are now"
        )
    others = {one.source.name: one.root for one in found if one.root not in (None, one.source.name)}
    return NamedRoots(found, folders, {name: str(root) for name, root in others.items()})


def _root_of(selection: Selection, folder: Path, given: Mapping[str, Path], pinned: str | None) -> tuple[str, Path]:
    """The root of a selection as NAME or NAME/FOLDER, and its own folder; of several the nearest."""
    for name, path in sorted(given.items(), key=lambda root: len(root[1].parts), reverse=True):
        if folder.is_relative_to(path):
            inside = folder.relative_to(path).as_posix()
            return (name if inside == "." else f"{name}/{inside}"), path
    if pinned is None:
        return selection.source.name, folder
    name, _, inside = pinned.partition("/")
    depth = len(Path(inside).parts)
    if folder.parts[-depth:] != Path(inside).parts:
        raise UsageError(
            f"the images of {selection.source.name} are in {inside} below --root {name}, and {folder} is no such "
            f"folder: give it as --root {name}=PATH"
        )
    return pinned, Path(*folder.parts[:-depth])
