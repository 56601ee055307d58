"""Moving: real images that are elsewhere on this machine (`--root NAME=PATH`), without captioning anything.

The first image below the root is looked for in the new folder and its sha256 compared, so that a wrong folder is named
here and not for each image of a build.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from captioning.named_roots import folders_of
from captioning.prompt import Prompt, prompt_parts
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace, parts_in
from workspace.locator import process_reader
from workspace.roots import read_roots, record_roots, split_root


def move_roots(workspace: Workspace, roots: Mapping[str, str | Path]) -> None:
    """Record where some roots are on this machine.

    Raises `UsageError` for a root that the workspace does not have, and for a folder without its images.
    """
    folders = folders_of(roots)
    for name, folder in folders.items():
        _check(workspace, name, folder)
    record_roots(workspace, folders)


def _check(workspace: Workspace, name: str, folder: Path) -> None:
    """Compare the first image below a root with that in the folder."""
    known = read_roots(workspace)
    if name not in known:
        names = ", ".join(sorted(known)) or "none"
        raise UsageError(f"--root {name}: this workspace has no root of that name; it has: {names}")
    of_source = parts_in(workspace.prompts_of(name))  # most roots have the name of a source
    for part in of_source or prompt_parts(workspace):
        rows = records.read_table(part, Prompt, ["real_path", "real_sha256"]).to_pylist()
        for row in rows:
            below = split_root(row["real_path"] or "")
            if below is not None and below[0] == name:
                _compare(name, folder, below[1], row["real_sha256"])
                return


def _compare(name: str, folder: Path, path: str, sha256: str) -> None:
    try:
        found = hashlib.sha256(process_reader().read(f"{folder}/{path}")).hexdigest()
    except OSError as error:
        raise UsageError(
            f"--root {name}={folder}: {path} cannot be read there ({error.strerror}): name the folder that is a "
            "copy of the one that was captioned"
        ) from error
    if found != sha256:
        raise UsageError(
            f"--root {name}={folder}: {path} is another image there (its sha256 differs): name the folder "
            "that is a copy of the one that was captioned"
        )
