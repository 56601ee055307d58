"""The folder of one supervisor below the weights directory (`workspace.process_folder`, `own_folder`).

It holds everything that belongs to the process: its generators' files, its downloads, and the contents that it
reserves. Beside the process folders is the pool, which all of them share.
"""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from samplers.weights.own_folder import is_kept, keep, mark, own_folder, unmark
from workspace import process_folder
from workspace.errors import UsageError
from workspace.process_folder import remove_folder

#: Seconds between two touches in a folder that machines share: few operations for its file server.
_SHARED_TOUCH_SECONDS = 60.0
_POOL = "pool"
#: Seconds that the end waits for the lock; after that, what is left is removed by the next process.
_LOCK_SECONDS_AT_END = 20.0


def default_weights_dir() -> Path:
    """A folder of this user on this node: below $TMPDIR, which clusters point at local disks, or the system's."""
    return Path(tempfile.gettempdir()) / f"community-forensics-{os.getuid()}"


def stored_in(weights_dir: Path) -> set[str]:
    """The keys of the contents below a weights directory, which is only read; none where there is no such folder."""
    for folder in (weights_dir, weights_dir / f"community-forensics-{os.getuid()}"):
        with suppress(OSError):
            return {path.name for path in (folder / _POOL).iterdir()}
    return set()


class ProcessFolder(process_folder.ProcessFolder):
    """One process's folder below the weights directory, with an empty folder in it, `home`.

    At the end it is removed, and with the last one what all of them shared, unless `cf-fetch` keeps it. The lock of a
    weights directory protects bookkeeping and is held for milliseconds: nothing is downloaded, hashed or copied
    meanwhile.
    """

    def __init__(self, weights_dir: Path, *, is_shared: bool = False, is_keeper: bool = False) -> None:
        """Remove the folders of dead processes and make one. Raises `UsageError` when `weights_dir` cannot be used.

        `is_shared`: whether processes of several machines use it. `is_keeper`: whether this process fills it for
        others, so that what is in it stays at the end.
        """
        self.is_shared, self.is_keeper = is_shared, is_keeper
        touch_seconds = _SHARED_TOUCH_SECONDS if is_shared else process_folder.TOUCH_SECONDS
        try:
            self.weights_dir = own_folder(weights_dir)
            super().__init__(self.weights_dir, mode=0o700, touch_seconds=touch_seconds)
            self.home = self._filled()
        except OSError as error:
            raise UsageError(
                f"--weights-dir {weights_dir} cannot be used ({error.strerror}): name another folder"
            ) from error

    def _filled(self) -> Path:
        try:
            with self.lock:
                self.others()
                # A process that ended meanwhile may have removed it.
                mark(self.weights_dir)
                if self.is_keeper:
                    keep(self.weights_dir)
                self.pool.mkdir(exist_ok=True)
            home = self.path / "home"
            home.mkdir()
        except BaseException:
            self.stopping.set()
            remove_folder(self.path)
            raise
        return home

    @property
    def is_kept(self) -> bool:
        """Whether what is in the pool stays until `cf-fetch` frees it."""
        return is_kept(self.weights_dir)

    @property
    def pool(self) -> Path:
        """The folder that all processes share."""
        return self.weights_dir / _POOL

    def __exit__(self, *error: object) -> None:
        self.stopping.set()
        # The large files first: they concern nobody else, and on a full disk this makes room for the lock.
        with suppress(OSError):
            for path in list(self.path.iterdir()):
                if path.is_dir():
                    remove_folder(path)
        with suppress(OSError), self.lock.within(_LOCK_SECONDS_AT_END):
            if not self.others() and not self.is_kept:
                remove_folder(self.pool)
                unmark(self.weights_dir)
            remove_folder(self.path)
        super().__exit__(*error)
