"""A lock between processes that share a folder on a disk, without file locks.

The lock is a folder beside the process folders, by default `lock`; the file in it has the name of its owner's process
folder. A process acquires the lock by renaming a folder that holds its own file to that name. A file system does this
as one step, and refuses it where a folder with a file in it has the name already. The lock of a dead process is removed
by the name of its file: names of process folders are never used twice, so nobody can remove another process's lock by
mistake.
"""

import errno
import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_HELD = frozenset({errno.ENOTEMPTY, errno.EEXIST})
#: Seconds between two attempts, at random so that several processes do not try at the same moments: the least, and the
#: most, which grows with every attempt so that a long wait is easy on a file server.
_INTERVAL = (0.001, 0.01)
_GROWTH, _LONGEST = 1.1, 0.25


class FolderLock:
    """The lock of the folder above `folder`, for the process that owns `folder` and one of its threads, which may
    acquire it again while it has it.

    `is_dead` tells whether the process of another folder is gone. `name`: of the lock's folder, one for each lock.
    """

    def __init__(self, folder: Path, is_dead: Callable[[Path], bool], name: str = "lock") -> None:
        self._folder, self._is_dead = folder, is_dead
        self._lock, self._own = folder.parent / name, folder / name
        self._thread = threading.RLock()
        #: How often its thread has acquired it.
        self._depth = 0

    def __enter__(self) -> None:
        self._acquire(-1)

    def __exit__(self, *_: object) -> None:
        self._release()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Hold the lock; raises `TimeoutError` when it is not free in that time."""
        self._acquire(seconds)
        try:
            yield
        finally:
            self._release()

    def holder(self) -> Path | None:
        """The folder of the process that holds the lock; None: nobody does."""
        with suppress(OSError):
            for file in self._lock.iterdir():
                return self._folder.parent / file.name
        return None

    def _acquire(self, seconds: float) -> None:
        """Wait for the lock for so many seconds; without a limit where that is negative."""
        deadline = time.monotonic() + seconds
        if not self._thread.acquire(timeout=seconds):
            raise TimeoutError(errno.ETIMEDOUT, "another thread does not release the lock")
        self._depth += 1
        if self._depth > 1:
            return
        try:
            self._prepare()
            shortest, longest = _INTERVAL
            while not self._try():
                if seconds >= 0 and deadline < time.monotonic():
                    raise TimeoutError(errno.ETIMEDOUT, "another process does not release the lock")
                time.sleep(random.uniform(shortest, longest))
                longest = min(longest * _GROWTH, _LONGEST)
        except BaseException:
            self._release()
            raise

    def try_once(self) -> bool:
        """Acquire the lock if it is free or its holder is dead; `release` it afterwards. Never waits."""
        self._thread.acquire()
        self._depth += 1
        if self._depth > 1:
            return True
        try:
            self._prepare()
            # The first try may only have removed the lock of a dead process.
            if self._try() or (self.holder() is None and self._try()):
                return True
            shutil.rmtree(self._own, ignore_errors=True)
        except BaseException:
            self._leave()
            raise
        self._leave()
        return False

    def release(self) -> None:
        """Release the lock that `try_once` acquired, unless another process took it over meanwhile."""
        self._release()

    def _prepare(self) -> None:
        self._own.mkdir(exist_ok=True)
        os.close(os.open(self._own / self._folder.name, os.O_CREAT | os.O_WRONLY, 0o666))

    def _try(self) -> bool:
        try:
            self._own.rename(self._lock)
        except OSError as error:
            if error.errno not in _HELD:
                raise
        else:
            return True
        with suppress(FileNotFoundError):
            for file in self._lock.iterdir():
                if self._is_dead(self._folder.parent / file.name):
                    file.unlink(missing_ok=True)
        self._remove_empty()
        return False

    def _release(self) -> None:
        if self._depth == 1:
            with suppress(OSError):
                (self._lock / self._folder.name).unlink(missing_ok=True)
            self._remove_empty()
        self._leave()

    def _leave(self) -> None:
        self._depth -= 1
        self._thread.release()

    def _remove_empty(self) -> None:
        # rmdir removes only an empty folder. Not every file system renames onto one.
        with suppress(OSError):
            self._lock.rmdir()
