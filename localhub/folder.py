"""A folder on this disk, as the files of a repository."""

import os
from pathlib import Path

from workspace.errors import UsageError

#: What huggingface_hub's `upload_folder` leaves out as well: git's own files, and its notes in a downloaded folder.
_LEFT_OUT = (".git", ".cache")


def files_of(folder: Path, *, follow_links: bool = False) -> dict[str, Path]:
    """The files below `folder` by their path in a repository; raises `UsageError` if there are none.

    A symbolic link that leads out of the folder would publish what nobody put there, so it is refused unless
    `follow_links` says that this is meant. Links to folders, sockets and devices are always refused.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a directory")
    root = folder.resolve()
    files = {}
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        if linked := [name for name in folders if (here / name).is_symlink()]:
            raise UsageError(f"{here / linked[0]} is a link to a folder; copy what it leads to, or remove it")
        for name in sorted(names):
            path = here / name
            target = path.resolve()
            if path.is_symlink() and not follow_links and not target.is_relative_to(root):
                raise UsageError(f"{path} is a link out of {folder}, to {target}; add --follow-links if that is meant")
            if not target.is_file():
                raise UsageError(f"{path} is not a regular file, or a link that leads nowhere")
            files[path.relative_to(folder).as_posix()] = path
    if not files:
        raise UsageError(f"{folder} has no files")
    return files
