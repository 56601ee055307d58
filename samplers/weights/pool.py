"""Contents that all supervisors of a node share, each under its hash, and who is fetching which.

A content is in the pool when it has arrived whole and its hash is right, so what lies there needs no second look.
Before one fetches a content one claims it, by a folder in one's own slot; there the download lies until it is moved
to the pool. Claims are made in turn, so there is one at most for a content, and they go with the slot: when its
process dies or its download fails, whoever waits for that content claims it next.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from samplers.weights.fetching import FetchError
from samplers.weights.scratch import Slot

_CLAIMS = "fetching"


class Pool:
    """The pool as the owner of `slot` sees it."""

    def __init__(self, slot: Slot) -> None:
        self._slot, self._folder = slot, slot.pool
        (slot.path / _CLAIMS).mkdir()
        self.links = _links(slot.path)
        """Whether this file system has hard links; without, a content is copied to where it is used."""

    def path_of(self, key: str) -> Path:
        """Where a content lies, or would."""
        return self._folder / key

    @contextmanager
    def claim(self, key: str) -> Iterator[Path | None]:
        """A folder to fetch a content into, for as long as the block lasts; None where it has come or is coming."""
        claim = self._slot.path / _CLAIMS / key
        with self._slot.turn:
            slots = (self._slot.path, *self._slot.others())
            free = not self.path_of(key).exists() and not any((slot / _CLAIMS / key).exists() for slot in slots)
            if free:
                claim.mkdir()
        try:
            yield claim if free else None
        finally:
            if free:
                shutil.rmtree(claim, ignore_errors=True)

    def put(self, key: str, path: Path) -> bool:
        """Put a content where it is used; False when it is not in the pool. Raises `FetchError` for a name that is
        taken, `StorageError` where the disk is full or not ours."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise FetchError(f"{path.name}: the repository has a file where it also has a folder") from error
        try:
            if self.links:
                with suppress(FileNotFoundError):
                    os.link(self.path_of(key), path)
                    return True
                return False
            with suppress(FileNotFoundError), self.path_of(key).open("rb") as content:
                # Not over a file that is there: a repository may list a name twice.
                with path.open("xb") as copy:
                    shutil.copyfileobj(content, copy, 1 << 20)
                return True
        except FileExistsError as error:
            raise FetchError(f"{path.name} is listed twice") from error
        return False

    def contents(self) -> dict[str, int]:
        """The contents that are here, and their bytes."""
        return {path.name: path.stat().st_size for path in self._folder.iterdir()}

    def remove(self, key: str) -> None:
        """Remove a content. What was put somewhere else stays there."""
        self.path_of(key).unlink(missing_ok=True)


def _links(folder: Path) -> bool:
    one, other = folder / "one", folder / "other"
    one.touch()
    try:
        os.link(one, other)
    except OSError:
        return False
    finally:
        one.unlink()
        other.unlink(missing_ok=True)
    return True
