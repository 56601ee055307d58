"""The folder that images are exported to: told from folders of others, and never changed but by adding files.

`export.json`, written first, says how the folder was made; the same export continues there, any other is refused. A
file is written in a folder of this process and renamed, so a file in the tree is whole, and no reader finds half of
one.
"""

import errno
import json
import os
import secrets
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manifests.exporting.variants import UNCHANGED
from workspace.atomic import errors_naming, write_json
from workspace.errors import UsageError

#: Says how the folder was made.
SETTINGS_FILE = "export.json"
#: The side table beside it, as Parquet and as CSV.
SIDE_TABLES = ("export.parquet", "export.csv")
#: What a file system answers that makes no hard links, none there, or none to files of others.
_NO_LINKS = frozenset({errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV})


class Destination:
    """An export's folder. Threads may share it."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Create the folder, or continue there.

        Raises `UsageError` for a folder with anything else in it, or with an export of other settings.
        """
        self.folder = folder
        #: Files that were copied because no link could be made, by the reason.
        self.not_linked: Counter[str] = Counter()
        self._lock = threading.Lock()
        path = folder / SETTINGS_FILE
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file: name a folder that is empty or does not exist")
        if path.exists():
            _require_same(path, json.loads(json.dumps(settings)))
            return
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(
                f"{folder} is not empty, and cf-export did not make it: name a folder that is empty or does not exist"
            )
        write_json(path, settings)

    def has(self, path: str, size: int | None) -> bool:
        """Whether a file is there already; `size` in bytes, None: unknown.

        Raises `UsageError` where it is another one.
        """
        target = self.folder / path
        try:
            status = target.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        if not target.is_file() or target.is_symlink() or status.st_size == 0 or size not in (None, status.st_size):
            raise UsageError(
                f"{target} is not the file that cf-export wrote: remove it, and run the same command again"
            )
        return True

    def put(self, path: str, content: bytes, scratch: Path) -> None:
        """Write a file that is not there; `scratch` is a folder on the same disk."""
        target, temporary = self.folder / path, scratch / secrets.token_hex(8)
        with errors_naming(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.rename(target)
            finally:
                temporary.unlink(missing_ok=True)

    def link(self, path: str, source: Path | None) -> bool:
        """Make a file that is not there a hard link to `source` (None: it is no file of its own); False where that is
        not possible."""
        if source is None:
            self._count("inside a Parquet file or an archive, or on the Hub")
            return False
        target = self.folder / path
        with errors_naming(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source.resolve(), target)
            except FileExistsError:
                return True
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                self._count(os.strerror(error.errno))
                return False
        return True

    def _count(self, reason: str) -> None:
        with self._lock:
            self.not_linked[reason] += 1


def is_of_export(path: Path) -> bool:
    """Whether a file is what cf-export writes beside its trees."""
    return path.name in (SETTINGS_FILE, *SIDE_TABLES) and path.with_name(SETTINGS_FILE).is_file()


def trees_of(folder: Path) -> list[str]:
    """The folders of the trees of an export, where there are several; none where the folder is the tree, or no export.

    Raises `UsageError` for a file that cf-export has not written.
    """
    path = folder / SETTINGS_FILE
    if not path.is_file():
        return []
    try:
        variants = list(map(str, json.loads(path.read_bytes())["variants"]))
    except (ValueError, RecursionError, LookupError, TypeError) as error:
        raise UsageError(f"{path} is damaged: export again into another folder") from error
    return [UNCHANGED, *variants] if variants else []


def _require_same(path: Path, settings: dict[str, Any]) -> None:
    try:
        before: Any = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{path} was not written by cf-export: name a folder that is empty or does not exist"
        ) from error
    if not isinstance(before, dict) or before.keys() != settings.keys():
        raise UsageError(f"{path} was not written by this version of cf-export: name another folder")
    different = [name for name in settings if before[name] != settings[name]]
    if different:
        values = ", ".join(f"{name} {before[name]!r}, not {settings[name]!r}" for name in different)
        raise UsageError(f"{path.parent} has another export ({values}): name another folder")
