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

from workspace.atomic import errors_naming, write_json
from workspace.errors import UsageError

#: Says how the folder was made.
SETTINGS_FILE = "export.json"
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

    def link(self, path: str, source: Path) -> bool:
        """Make a file that is not there a hard link to `source`; False where that is not possible."""
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
                with self._lock:
                    self.not_linked[os.strerror(error.errno)] += 1
                return False
        return True


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
