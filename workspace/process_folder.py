"""A folder that belongs to one process, beside those of others, and is removed when the process is gone.

Processes that share a folder on a disk each have a process folder in it: it holds everything of theirs, and one of them
at a time has the `lock` (`folder_lock`). So removing the folder of a dead process removes all of it, its lock too; any
process that starts or waits does that.

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
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil

from workspace.folder_lock import FolderLock

#: Seconds between two touches of a folder, and without a touch until a folder that cannot be judged otherwise is dead:
#: long enough for a machine that stops for a while, because it swaps or waits for a file server.
TOUCH_SECONDS = 10.0
SILENT_SECONDS = 300.0

#: Seconds by which the start time of a process may differ between two readings.
_START_TOLERANCE = 2.0
#: Something may still be written to a folder that is being removed, such as the last file of an abandoned download.
_REMOVALS = 20

_NAME = re.compile(r"process-(?P<machine>[0-9a-f]{16})-(?P<pid>[0-9]+)-(?P<started>[0-9]+)-[0-9a-f]{8}")


class ProcessFolder:
    """One process's folder in `parent`: `path`, which is removed at the end of the context.

    `lock` is held by one process of that parent at a time. `stopping` is set when the context ends: threads that still
    work for this process then stop.
    """

    def __init__(self, parent: Path, mode: int = 0o777, touch_seconds: float = TOUCH_SECONDS) -> None:
        """Make the folder, with these permissions, and touch it as often; `parent` exists. Raises `OSError` as the file
        system does."""
        self.stopping = threading.Event()
        self._touch_seconds, self._touched, self._longest = touch_seconds, time.monotonic(), 0.0
        self._machine = _machine()
        started = int(psutil.Process().create_time())
        self.path = parent / f"process-{self._machine}-{os.getpid()}-{started}-{secrets.token_hex(4)}"
        self.path.mkdir(mode)
        self.lock = FolderLock(self.path, self.is_dead)
        threading.Thread(target=self._touch, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        remove_folder(self.path)

    def others(self) -> list[Path]:
        """The folders of other running processes; those of dead processes are removed. Call it with the lock only."""
        found = []
        for path in self.path.parent.glob("process-*"):
            if path == self.path or path.is_symlink() or not path.is_dir():
                continue
            if self.is_dead(path):
                remove_folder(path)
            else:
                found.append(path)
        return found

    @property
    def longest_silence(self) -> float:
        """The most seconds between two touches until now: more than `SILENT_SECONDS` where this process once did not
        run for long. Its first act afterwards may be a touch, so the time since the last one does not tell."""
        return max(self._longest, time.monotonic() - self._touched)

    def is_silent(self, folder: Path) -> bool:
        """Whether the process of a folder is gone, or has not run for long."""
        if folder == self.path:
            return False
        try:
            return self._now() - folder.stat().st_mtime > SILENT_SECONDS or self.is_dead(folder)
        except FileNotFoundError:
            return True

    def is_dead(self, folder: Path) -> bool:
        """Whether the process of a folder is gone, as far as one can know."""
        if folder == self.path:
            return False
        try:
            silent = self._now() - folder.stat().st_mtime > SILENT_SECONDS
        except FileNotFoundError:
            return True
        gone = has_ended(folder.name, self._machine)
        return silent if gone is None else gone

    def _now(self) -> float:
        """The time of the clock that stamps files here."""
        os.utime(self.path)
        return self.path.stat().st_mtime

    def _touch(self) -> None:
        while not self.stopping.wait(self._touch_seconds):
            with suppress(OSError):
                # Of a process that is stopped after its touch, the time before counts.
                before = time.monotonic()
                os.utime(self.path)
                self._longest, self._touched = max(self._longest, before - self._touched), before


def has_ended(name: str, machine: str | None = None) -> bool | None:
    """Whether the process of the folder of that name has ended; None where nobody can see it from here: it runs on
    another machine, or a process of its number runs that began at another time. `machine`: this one, where known."""
    owner = _NAME.fullmatch(name)
    if owner is None or owner["machine"] != (machine or _machine()):
        return None
    try:
        process = psutil.Process(int(owner["pid"]))
        if process.status() == psutil.STATUS_ZOMBIE:
            # Killed, and its parent has not waited for it yet.
            return True
        return False if abs(process.create_time() - int(owner["started"])) <= _START_TOLERANCE else None
    except psutil.NoSuchProcess:
        return True


def is_process_folder(name: str) -> bool:
    """Whether a process folder may have this name."""
    return _NAME.fullmatch(name) is not None


def remove_folder(folder: Path) -> None:
    """Remove a folder and all in it, as far as the system allows."""
    for _ in range(_REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.01)


def _machine() -> str:
    """Where a process number means the same process: one host, since one boot, in one process namespace."""
    parts = [socket.gethostname()]
    with suppress(OSError):  # Linux has them; elsewhere there are no namespaces, and a start time is a time of day
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
