"""Processes that share a folder on a disk take turns, without file locks.

Whose turn it is says a folder `turn` beside the slots: the file in it is named like the slot of its owner. It is
taken by renaming a folder that holds one's own file to that name, which a file system does as a whole and refuses
where a folder with anything in it has the name already. A dead owner's turn is ended by removing that file by its
name: slots' names never come twice, so nobody can end the turn of somebody else by mistake. A turn is for bookkeeping
and takes milliseconds; nothing is downloaded, hashed or copied in it.
"""

import errno
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TAKEN = frozenset({errno.ENOTEMPTY, errno.EEXIST})
#: Seconds until one looks again, at random so that those who wait do not look together.
_LOOK = (0.001, 0.01)


class Turn:
    """The turn of the process that owns `slot`, and of one of its threads at a time: `with turn: ...`.

    `is_dead` says whether the process of another slot is gone.
    """

    def __init__(self, slot: Path, is_dead: Callable[[Path], bool]) -> None:
        self._slot, self._is_dead = slot, is_dead
        self._turn = slot.parent / "turn"
        self._thread = threading.Lock()

    def __enter__(self) -> None:
        self._take(-1)

    def __exit__(self, *_: object) -> None:
        self._give()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """The turn, or `TimeoutError` when it does not come in that time."""
        self._take(seconds)
        try:
            yield
        finally:
            self._give()

    def _take(self, seconds: float) -> None:
        """Wait for the turn for so many seconds, for ever where that is negative."""
        deadline = time.monotonic() + seconds
        if not self._thread.acquire(timeout=seconds):
            raise TimeoutError(errno.ETIMEDOUT, "another thread does not end its turn")
        try:
            mine = self._slot / "turn"
            mine.mkdir(exist_ok=True)
            (mine / self._slot.name).touch()
            while not self._taken(mine):
                if seconds >= 0 and deadline < time.monotonic():
                    raise TimeoutError(errno.ETIMEDOUT, "another process does not end its turn")
                time.sleep(random.uniform(*_LOOK))
        except BaseException:
            self._give()
            raise

    def _taken(self, mine: Path) -> bool:
        try:
            mine.rename(self._turn)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
        else:
            return True
        with suppress(FileNotFoundError):
            for file in self._turn.iterdir():
                if self._is_dead(self._slot.parent / file.name):
                    file.unlink(missing_ok=True)
        self._clear()
        return False

    def _give(self) -> None:
        with suppress(OSError):
            (self._turn / self._slot.name).unlink(missing_ok=True)
        self._clear()
        self._thread.release()

    def _clear(self) -> None:
        # Only an empty folder can be removed so; not every file system renames onto one.
        with suppress(OSError):
            self._turn.rmdir()
