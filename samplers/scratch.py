"""A folder of weights on this node that belongs to one process, and is gone when the process is.

Under `--weights-dir` every supervisor holds a slot: a numbered folder on which it has an advisory lock. A lock ends
with its process, however that ends, so a slot that can be locked is a dead process's litter: whoever starts next
clears all of those. Nothing outlives a run but what a kill left, and that not beyond the next run.
"""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from workspace.errors import UsageError


def default_weights_dir() -> Path:
    """A folder of this user's on this node: $TMPDIR, which clusters point at local disks, or the system's."""
    return Path(tempfile.gettempdir()) / f"community-forensics-{os.getuid()}"


class Slot:
    """One process's folder under the weights directory, `path`, and an empty one in it, `home`; a context manager that
    removes them at the end."""

    def __init__(self, weights_dir: Path) -> None:
        """Clear dead processes' slots and take the first free one. Raises `UsageError` when the folder cannot be
        used."""
        try:
            weights_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            if weights_dir.stat().st_uid != os.getuid():
                raise PermissionError(0, "it belongs to another user")
            for path in sorted(weights_dir.glob("slot-*")):
                dead = _lock(path)
                if dead is not None:
                    _remove(path, dead)
            self.path, self._lock = _take(weights_dir)
            self.home: Path = self.path / "home"
            self.home.mkdir()
        except OSError as error:
            raise UsageError(f"--weights-dir {weights_dir} cannot be used: {error.strerror}") from error

    def __enter__(self) -> "Slot":
        return self

    def __exit__(self, *_: object) -> None:
        _remove(self.path, self._lock)


def _take(weights_dir: Path) -> tuple[Path, int]:
    number = 0
    while True:
        path = weights_dir / f"slot-{number}"
        path.mkdir(mode=0o700, exist_ok=True)
        descriptor = _lock(path)
        if descriptor is not None:
            return path.resolve(), descriptor
        number += 1


def _lock(path: Path) -> int | None:
    """A descriptor that holds the lock on a folder; None where another process has it, or the folder is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between opening and locking, the former holder may have removed it.
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _remove(path: Path, descriptor: int) -> None:
    # Under the lock, so that nobody takes it half empty; a download that is being abandoned may still add to it.
    shutil.rmtree(path, ignore_errors=True)
    os.close(descriptor)
