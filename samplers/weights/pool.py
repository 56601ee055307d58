"""Contents that all supervisors of a node share, each under its content key, and which process downloads which.

A content appears in the pool when it is complete and its hash is right. What an earlier run left there is verified once
more before it is used: the machine may have failed since. Of a store that several machines share, every process
verifies all that it has not downloaded itself: it came over a network. Before a process
downloads a content it claims it, by a folder in its own process folder; the download stays there until it is moved to
the pool. Claims are made under the lock, so a content has one claim at most. A claim is removed with its process
folder: when a process dies or its download fails, another that waits for the content claims it next.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from samplers.weights.fetching import FetchError, hash_of
from samplers.weights.process_folder import ProcessFolder

_CLAIMS = "fetching"


class ContentPool:
    """The pool of a weights directory, as the process of `folder` uses it."""

    def __init__(self, folder: ProcessFolder) -> None:
        self._folder, self._pool = folder, folder.pool
        (folder.path / _CLAIMS).mkdir()
        self.links = _has_hard_links(folder.path)
        """Whether this file system has hard links; without them a content is copied to where it is used."""
        self._before, self._trusted = set(self.contents()), set[str]()

    def path_of(self, key: str) -> Path:
        """The path of a content, whether it exists or not."""
        return self._pool / key

    @contextmanager
    def claim(self, key: str) -> Iterator[Path | None]:
        """A folder to download a content into, until the block ends; None where it exists or another downloads it."""
        claim = self._folder.path / _CLAIMS / key
        with self._folder.lock:
            folders = (self._folder.path, *self._folder.others())
            free = not self.path_of(key).exists() and not any((other / _CLAIMS / key).exists() for other in folders)
            if free:
                claim.mkdir()
        try:
            yield claim if free else None
        finally:
            if free:
                shutil.rmtree(claim, ignore_errors=True)

    def put(self, key: str, path: Path) -> bool:
        """Link or copy a content to `path`; False when it is not in the pool, or was damaged and is removed.

        Raises `FetchError` when `path` exists, `OSError` where the disk is full or cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise FetchError(f"{path.name}: the repository has a file and a folder of this name") from error
        self._verify(key)
        try:
            if self.links:
                with suppress(FileNotFoundError):
                    os.link(self.path_of(key), path)
                    return True
                return False
            with suppress(FileNotFoundError), self.path_of(key).open("rb") as content:
                # Never over a file that exists: a repository may list a name twice.
                with path.open("xb") as copy:
                    shutil.copyfileobj(content, copy, 1 << 20)
                return True
        except FileExistsError as error:
            raise FetchError(f"{path.name} is listed twice") from error
        return False

    def holds(self, key: str) -> bool:
        """Whether a content is in the pool, and is what its name says; a damaged one is removed."""
        self._verify(key)
        return self.path_of(key).exists()

    def trust(self, key: str) -> None:
        """Note that this process has verified a content as it put it into the pool."""
        self._trusted.add(key)

    def _verify(self, key: str) -> None:
        """Remove a content that this process did not see verified if it is not what its name says."""
        if key in self._trusted or not (self._folder.is_shared or key in self._before):
            return
        try:
            is_right = hash_of(self.path_of(key), key) == key
        except OSError as error:
            # Removed before it was opened, or by another machine while it was read.
            if error.errno not in (errno.ENOENT, errno.ESTALE):
                raise
            return
        if is_right:
            self._trusted.add(key)
        else:
            self.remove(key)

    def contents(self) -> dict[str, int]:
        """The contents in the pool, and their bytes."""
        return {path.name: path.stat().st_size for path in self._pool.iterdir()}

    def names(self) -> set[str]:
        """The keys of the contents in the pool."""
        return set(os.listdir(self._pool))  # noqa: PTH208 - one call, without an object for each name

    def remove(self, key: str) -> None:
        """Remove a content from the pool; where it was linked or copied to, it remains."""
        self.path_of(key).unlink(missing_ok=True)


def _has_hard_links(folder: Path) -> bool:
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
