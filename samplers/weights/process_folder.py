"""A folder below the weights directory that belongs to one process, and is removed when the process is gone.

Every supervisor has a process folder below `--weights-dir`. It holds everything that belongs to the process: its
generators' files, its downloads, and the contents that it reserves. So removing the folder of a dead process removes
all of it; any process that starts, waits or ends does that.

Nothing relies on file locks, which some file systems accept and ignore, and others refuse. The owner of a folder is
told by its name, which exists from the first moment: the machine (host, boot and process namespace), the process
number, and the time the process began. On the same machine one can see whether that process runs. From another machine
(another container or host) one cannot, so there a folder is dead when its owner has not touched it for long. The time
of a touch is compared with that of a touch of one's own folder on the same file system, so clocks may differ. The touch
also decides where a process of that number runs but began at another time: either the number was reused, or somebody
set the clock from which the system computes when a process began.
"""

import hashlib
import os
import re
import secrets
import shutil
import socket
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil

from samplers.weights.folder_lock import FolderLock
from workspace.errors import UsageError

#: Seconds between two touches of a folder, and without a touch until a folder that cannot be judged otherwise is dead:
#: long enough for a machine that stops for a while, because it swaps or waits for a file server.
TOUCH_SECONDS = 10.0
SILENT_SECONDS = 300.0

#: Seconds by which the start time of a process may differ between two readings.
_START_TOLERANCE = 2.0
#: Seconds that the end waits for the lock; after that, what is left is removed by the next process.
_LOCK_SECONDS_AT_END = 20.0
#: An abandoned download may put a last file into a folder that is being removed.
_REMOVALS = 20

_NAME = re.compile(r"process-(?P<machine>[0-9a-f]{16})-(?P<pid>[0-9]+)-(?P<started>[0-9]+)-[0-9a-f]{8}")


def default_weights_dir() -> Path:
    """A folder of this user on this node: below $TMPDIR, which clusters point at local disks, or the system's."""
    return Path(tempfile.gettempdir()) / f"community-forensics-{os.getuid()}"


class ProcessFolder:
    """One process's folder below the weights directory, `path`, with an empty folder in it, `home`.

    A context manager that removes it at the end, and with the last one what all of them shared. `lock` is held by one
    process of a weights directory at a time. `stopping` is set when the context ends: threads that still work for this
    process then stop.
    """

    def __init__(self, weights_dir: Path) -> None:
        """Remove the folders of dead processes and make one. Raises `UsageError` when `weights_dir` cannot be used."""
        self.stopping = threading.Event()
        self._machine = _machine()
        try:
            weights_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            if weights_dir.stat().st_uid != os.getuid():
                raise PermissionError(0, "it belongs to another user")
            self.weights_dir = weights_dir.resolve()
            started = int(psutil.Process().create_time())
            self.path = self.weights_dir / f"process-{self._machine}-{os.getpid()}-{started}-{secrets.token_hex(4)}"
            self.path.mkdir(mode=0o700)
            self.lock = FolderLock(self.path, self._is_dead)
            self.home = self._filled()
        except OSError as error:
            raise UsageError(
                f"--weights-dir {weights_dir} cannot be used ({error.strerror}): name another folder"
            ) from error
        threading.Thread(target=self._touch, daemon=True).start()

    def _filled(self) -> Path:
        try:
            with self.lock:
                self.others()
                self.pool.mkdir(exist_ok=True)
            home = self.path / "home"
            home.mkdir()
        except BaseException:
            _remove(self.path)
            raise
        return home

    @property
    def pool(self) -> Path:
        """The folder that all processes share."""
        return self.weights_dir / "pool"

    def __enter__(self) -> "ProcessFolder":
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        # The large files first: they concern nobody else, and on a full disk this makes room for the lock.
        with suppress(OSError):
            for path in list(self.path.iterdir()):
                if path.is_dir():
                    _remove(path)
        with suppress(OSError), self.lock.within(_LOCK_SECONDS_AT_END):
            if not self.others():
                _remove(self.pool)
            _remove(self.path)
        _remove(self.path)

    def others(self) -> list[Path]:
        """The folders of other running processes; those of dead processes are removed. Call it with the lock only."""
        found = []
        for path in self.weights_dir.glob("process-*"):
            if path == self.path or path.is_symlink() or not path.is_dir():
                continue
            if self._is_dead(path):
                _remove(path)
            else:
                found.append(path)
        return found

    def _is_dead(self, folder: Path) -> bool:
        """Whether the process of a folder is gone, as far as one can know."""
        if folder == self.path:
            return False
        try:
            silent = self._now() - folder.stat().st_mtime > SILENT_SECONDS
        except FileNotFoundError:
            return True
        name = _NAME.fullmatch(folder.name)
        if name is None or name["machine"] != self._machine:
            return silent
        try:
            process = psutil.Process(int(name["pid"]))
            # Killed, and its parent has not waited for it yet.
            gone = process.status() == psutil.STATUS_ZOMBIE
            same = abs(process.create_time() - int(name["started"])) <= _START_TOLERANCE
        except psutil.NoSuchProcess:
            return True
        return gone or (silent and not same)

    def _now(self) -> float:
        """The time of the clock that stamps files here."""
        os.utime(self.path)
        return self.path.stat().st_mtime

    def _touch(self) -> None:
        while not self.stopping.wait(TOUCH_SECONDS):
            with suppress(OSError):
                os.utime(self.path)


def _machine() -> str:
    """Where a process number means the same process: one host, since one boot, in one process namespace."""
    parts = [socket.gethostname()]
    with suppress(OSError):  # Linux has them; elsewhere there are no namespaces, and a start time is a time of day
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _remove(folder: Path) -> None:
    for _ in range(_REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.01)
