"""The files below a folder that a stranger may have filled: however deep it is, and however its links lead back.

`os.walk` and `Path.rglob` call themselves for each folder in a folder, and end with an error in one of a thousand
levels. Eight folders with links to each other have a hundred thousand paths, and twelve a thousand million.
"""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

#: Folders that are entered through links at most, and below them: ten times those of ImageNet-21k.
MOST_LINKED = 200_000


class EntangledError(OSError):
    """Folders that link to each other in too many ways."""

    def __init__(self, folder: Path) -> None:
        super().__init__(errno.ELOOP, f"links lead to more than {MOST_LINKED:,} folders", str(folder))


def _raise(error: OSError) -> None:
    raise error


def paths_below(
    root: Path,
    wanted: Callable[[os.DirEntry[str]], bool] = lambda _: True,
    *,
    follow: bool = False,
    on_error: Callable[[OSError], None] = _raise,
) -> Iterator[str]:
    """The paths below `root` of all that is no folder, with "/" between names; of each folder its files, then what is
    in its folders, in the order of names.

    `wanted`: whether a file is listed, or a folder entered. `follow`: whether folders that are links are entered, but
    for those that lead to a folder above; else they are left out. `on_error` gets the errors of folders that cannot be
    read. Raises `EntangledError`.
    """
    waiting: list[tuple[str, bool, tuple[tuple[int, int], ...]]] = [("", False, ())]
    linked = 0
    while waiting:
        prefix, through_link, above = waiting.pop()
        folder = root / prefix
        try:
            status = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            on_error(error)
            continue
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            continue
        linked += through_link
        if linked > MOST_LINKED:
            raise EntangledError(root)
        folders = []
        for entry in entries:
            if not wanted(entry):
                continue
            if not is_folder(entry):
                yield prefix + entry.name
            elif follow or not entry.is_symlink():
                folders.append((f"{prefix}{entry.name}/", through_link or entry.is_symlink(), (*above, identity)))
        waiting += reversed(folders)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, or a link to one; not a link to itself, which opening it will say."""
    try:
        return entry.is_dir()
    except OSError:
        return False
