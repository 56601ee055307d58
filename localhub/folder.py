"""A folder on this disk, as the files of a repository."""

import os
from pathlib import Path

from workspace.errors import UsageError

#: What huggingface_hub's `upload_folder` leaves out as well: git's own files, and its notes in a downloaded folder.
_LEFT_OUT = ({".git"}, {".cache", "huggingface"})


def files_of(folder: Path, *, follow_links: bool = False) -> dict[str, Path]:
    """The files below `folder` by their path in a repository; raises `UsageError` if there are none.

    A symbolic link that leads out of the folder would publish what nobody put there, so it is refused unless
    `follow_links` says that this is meant. Anything but a regular file (a socket, a device) is refused too.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a directory")
    root, files = folder.resolve(), {}
    for place, folders, names in os.walk(folder, followlinks=True):
        here = Path(place)
        relative = here.relative_to(folder)
        if {".git"} <= set(relative.parts) or relative.parts[:2] == (".cache", "huggingface"):
            folders.clear()
            continue
        for name in folders:
            _check_link(here / name, root, follow_links)
        for name in names:
            path = here / name
            _check_link(path, root, follow_links)
            if not path.is_file():
                raise UsageError(f"{path} is not a regular file")
            files[(relative / name).as_posix()] = path
    if not files:
        raise UsageError(f"{folder} has no files")
    return files


def _check_link(path: Path, root: Path, follow_links: bool) -> None:
    if not path.is_symlink():
        return
    target = path.resolve()
    if path.is_dir() and (target == root or target in path.parent.resolve().parents or target == path.parent.resolve()):
        raise UsageError(f"{path} is a link to a folder that it lies in")
    if not follow_links and not target.is_relative_to(root):
        raise UsageError(f"{path} is a link out of the folder, to {target}; add --follow-links if that is meant")
