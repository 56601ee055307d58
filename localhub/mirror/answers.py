"""Answers of the API that everybody gets, kept as they were for the time when the Hub does not answer.

    DIR/answers/ab/<hash of path and query>.json

A page of a list, and what is said of a repository at a branch, change from day to day, so the Hub is asked first. The
folder may be removed at any time. Clients choose paths and queries, so the oldest answers give way.
"""

import hashlib
import json
import threading
from contextlib import suppress
from pathlib import Path

from localhub.mirror.upstream import Answer
from workspace.atomic import write_bytes

#: Bytes of all answers at most.
MOST_BYTES = 1 << 30


class Answers:
    """The answers in a folder."""

    def __init__(self, folder: Path, most: int = MOST_BYTES) -> None:
        """`most`: bytes of all answers at most, but for the last."""
        self._folder, self._most = folder, most
        self._lock = threading.Lock()
        self._size: int | None = None

    def keep(self, target: str, answer: Answer) -> None:
        """Keep the answer at a path and query; not one that took a token."""
        if not answer.opened:
            kept = {"target": target, "after": answer.after, "value": answer.value}
            content = json.dumps(kept, separators=(",", ":")).encode()
            self._make_room(len(content))
            write_bytes(self._path(target), content)

    def kept(self, target: str) -> Answer | None:
        """The answer that was kept; None where there is none, or a damaged one."""
        try:
            read = json.loads(self._path(target).read_bytes())
            return Answer(read["value"], read["after"]) if read["target"] == target else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def _make_room(self, size: int) -> None:
        """Remove the oldest half of all answers where one of this size does not fit beside them."""
        with self._lock:
            if self._size is not None and self._size + size <= self._most:
                self._size += size
                return
            files = []
            for path in self._folder.glob("*/*.json"):
                with suppress(FileNotFoundError):  # another process removed it
                    status = path.stat()
                    files.append((status.st_mtime_ns, path, status.st_size))
            total = size + sum(one[2] for one in files)
            if total > self._most:
                for _, path, length in sorted(files):
                    if total <= self._most // 2:
                        break
                    path.unlink(missing_ok=True)
                    total -= length
            self._size = total

    def _path(self, target: str) -> Path:
        name = hashlib.sha256(target.encode()).hexdigest()
        return self._folder / name[:2] / f"{name}.json"
