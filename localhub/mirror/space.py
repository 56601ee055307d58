"""The disk space of a mirror: what was used least recently gives way to what is downloaded."""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

from localhub.request_errors import RequestError
from workspace.size import text_of

#: Seconds since its last use in which a content is not removed: a request that found it opens it in a moment.
IN_USE = 60.0


class Space:
    """At most `limit` bytes of contents in `folder` (None: no limit), for one process.

    `may_remove`: whether contents give way to others; otherwise what does not fit is refused.
    """

    def __init__(self, folder: Path, limit: int | None, *, may_remove: bool = True) -> None:
        self._folder, self._limit, self._may_remove = folder, limit, may_remove
        self._lock = threading.Lock()
        self._reserved: dict[str, int] = {}

    def use(self, content: Path) -> None:
        """Note that a content is used now."""
        with suppress(OSError):
            os.utime(content)

    def reserve(self, key: str, size: int) -> None:
        """Reserve space for a download, until `release`; raises `RequestError` (507) where there is none."""
        if self._limit is None:
            return
        with self._lock:
            missing = size + sum(self._reserved.values()) - self._limit
            stored = [(status.st_mtime, status.st_size, path) for path, status in self._contents()]
            missing += sum(one for _, one, _ in stored)
            oldest = time.time() - IN_USE
            removable = sorted(one for one in stored if self._may_remove and one[0] < oldest)
            if missing > sum(one for _, one, _ in removable):
                raise RequestError(
                    f"a file of {text_of(size)} does not fit within --max-disk {text_of(self._limit)}", status=507
                )
            for _, freed, path in removable:
                if missing <= 0:
                    break
                path.unlink(missing_ok=True)
                missing -= freed
            self._reserved[key] = size

    def release(self, key: str) -> None:
        """End a reservation: the content is stored, or its download failed."""
        with self._lock:
            self._reserved.pop(key, None)

    def _contents(self) -> list[tuple[Path, os.stat_result]]:
        found = []
        for path in self._folder.glob("*/*"):
            with suppress(FileNotFoundError):
                found.append((path, path.stat()))
        return found
