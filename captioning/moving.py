"""Moving: a source whose images are elsewhere on this machine (`--root NAME=PATH`), without captioning anything.

The first image of the source is looked for in the new folder and its sha256 compared, so that a wrong folder is named
here and not for each image of a build.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from captioning.prompt import Prompt
from captioning.sources.registry import find_source
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace, checked_source, parts_in
from workspace.locator import process_reader
from workspace.roots import read_roots, record_roots, split_root


def move_roots(workspace: Workspace, roots: Mapping[str, str | Path]) -> None:
    """Record where the images of some sources are.

    Raises `UsageError` for a source that the workspace does not have, and for a folder without its images.
    """
    folders = {find_source(checked_source(name)).name: folder_of(name, path) for name, path in roots.items()}
    for name, folder in folders.items():
        _check(workspace, name, folder)
    record_roots(workspace, folders)


def folder_of(name: str, path: str | Path) -> Path:
    """The folder that `--root NAME=PATH` names. Raises `UsageError` when it is none."""
    folder = Path(path).expanduser().resolve()
    if not folder.is_dir():
        raise UsageError(f"--root {name}={path} is not a folder: name the one below which the images of {name} are")
    return folder


def _check(workspace: Workspace, name: str, folder: Path) -> None:
    """Compare the first image of a source with that in the folder."""
    known = read_roots(workspace)
    if name not in known:
        names = ", ".join(sorted(known)) or "none"
        raise UsageError(f"--root {name}: no source of this workspace has a folder of that name; it has: {names}")
    for part in parts_in(workspace.prompts_of(name)):
        rows = records.read_table(part, Prompt, ["real_path", "real_sha256"]).to_pylist()
        for row in rows:
            below = split_root(row["real_path"] or "")
            if below is not None:
                _compare(name, folder, below[1], row["real_sha256"])
                return


def _compare(name: str, folder: Path, path: str, sha256: str) -> None:
    try:
        found = hashlib.sha256(process_reader().read(f"{folder}/{path}")).hexdigest()
    except OSError as error:
        raise UsageError(
            f"--root {name}={folder}: {path} cannot be read there ({error.strerror}): name the folder that holds what "
            f"--source {name} held"
        ) from error
    if found != sha256:
        raise UsageError(
            f"--root {name}={folder}: {path} is another image there (its sha256 differs): name the folder that holds "
            f"what --source {name} held"
        )
