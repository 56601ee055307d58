"""The files of a folder on this disk, as the files of a repository."""

import os
from pathlib import Path

from workspace.errors import UsageError

#: Skipped by huggingface_hub's `upload_folder` too: git's own files, and the client's cache in a downloaded folder.
_SKIPPED = (".git", ".cache")


def files_of(folder: Path, *, follow_links: bool = False) -> dict[str, Path]:
    """The files below `folder` by their path in a repository; raises `UsageError` if there are none.

    A symbolic link to a file outside the folder could publish a file by mistake, so it is an error unless
    `follow_links` is set. Links to folders, sockets and devices are always errors.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a directory")
    root = folder.resolve()
    files = {}
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)
        if linked := [name for name in folders if (here / name).is_symlink()]:
            raise UsageError(f"{here / linked[0]} is a link to a folder; replace it with a copy, or remove it")
        for name in sorted(names):
            path = here / name
            target = path.resolve()
            if path.is_symlink() and not follow_links and not target.is_relative_to(root):
                raise UsageError(f"{path} is a link to {target}, outside {folder}; use --follow-links to include it")
            if not target.is_file():
                raise UsageError(f"{path} is a broken link or not a regular file; remove it")
            files[path.relative_to(folder).as_posix()] = path
    if not files:
        raise UsageError(f"{folder} has no files")
    return files
