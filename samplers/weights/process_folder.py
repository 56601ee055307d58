"""A folder of weights on this node that belongs to one process, and is gone when the process is.

Under `--weights-dir` every supervisor holds a slot: a folder of its own. What belongs to a process lies in its slot
(its generators' files, what it is downloading, what it says it needs), so clearing the slot of a dead process clears
everything of it; whoever starts, waits or ends does so.

Nothing rests on file locks, which some file systems accept and ignore, and others refuse. Whose a slot is stands in
its name, which is there from the moment the folder is: the place (host, boot and process namespace), the process, and
when it began. In the same place one can see whether that process runs. From another place (another container or host)
one cannot, so there a slot is dead when its owner has not touched it for long. The time of a touch is compared with
that of a touch of one's own on the same file system, so clocks may differ. It is asked too where a process of that
number runs but began at another time: either the number was given away again, or somebody set the clock by which the
system states when a process began.
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

from samplers.weights.turn import Turn
from workspace.errors import UsageError

#: Seconds between two touches of a slot, and without one until a slot that cannot be judged otherwise is dead: long
#: enough for a machine that stands still while it swaps or waits for a file server.
BEAT_SECONDS = 10.0
SILENT_SECONDS = 300.0

#: Seconds by which a process's begin may differ between two looks at it.
_BEGIN_TOLERANCE = 2.0
#: Seconds that ending waits for its turn; after that, what is left is for the next start.
_PATIENCE_AT_THE_END = 20.0
#: An abandoned download may put a last file into a folder that is being removed.
_REMOVALS = 20

_NAME = re.compile(r"slot-(?P<place>[0-9a-f]{16})-(?P<pid>[0-9]+)-(?P<begin>[0-9]+)-[0-9a-f]{8}")


def default_weights_dir() -> Path:
    """A folder of this user's on this node: $TMPDIR, which clusters point at local disks, or the system's."""
    return Path(tempfile.gettempdir()) / f"community-forensics-{os.getuid()}"


class Slot:
    """One process's folder under the weights directory, `path`, and an empty one in it, `home`; a context manager that
    removes them at the end, and with the last slot what all of them shared.

    `turn` keeps the processes of a weights directory apart. `leaving` is set when the context is left: whatever still
    works for this slot in another thread is to stop.
    """

    def __init__(self, weights_dir: Path) -> None:
        """Clear dead processes' slots and take one. Raises `UsageError` when the folder cannot be used."""
        self.leaving = threading.Event()
        self._place = _place()
        try:
            weights_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            if weights_dir.stat().st_uid != os.getuid():
                raise PermissionError(0, "it belongs to another user")
            self.weights_dir = weights_dir.resolve()
            begin = int(psutil.Process().create_time())
            self.path = self.weights_dir / f"slot-{self._place}-{os.getpid()}-{begin}-{secrets.token_hex(4)}"
            self.path.mkdir(mode=0o700)
            self.turn = Turn(self.path, self._is_dead)
            self.home = self._furnished()
        except OSError as error:
            raise UsageError(f"--weights-dir {weights_dir} cannot be used: {error.strerror}") from error
        threading.Thread(target=self._beat, daemon=True).start()

    def _furnished(self) -> Path:
        try:
            with self.turn:
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
        """What all slots share."""
        return self.weights_dir / "pool"

    def __enter__(self) -> "Slot":
        return self

    def __exit__(self, *_: object) -> None:
        self.leaving.set()
        # The bulk first: it is nobody else's business, and on a full disk it makes the room to say so.
        with suppress(OSError):
            for path in list(self.path.iterdir()):
                if path.is_dir():
                    _remove(path)
        with suppress(OSError), self.turn.within(_PATIENCE_AT_THE_END):
            if not self.others():
                _remove(self.pool)
            _remove(self.path)
        _remove(self.path)

    def others(self) -> list[Path]:
        """The slots of other processes that live; those of dead ones are cleared. Only in one's turn."""
        found = []
        for path in self.weights_dir.glob("slot-*"):
            if path == self.path or path.is_symlink() or not path.is_dir():
                continue
            if self._is_dead(path):
                _remove(path)
            else:
                found.append(path)
        return found

    def _is_dead(self, slot: Path) -> bool:
        """Whether a slot's process is gone, as far as one can know."""
        if slot == self.path:
            return False
        try:
            silent = self._now() - slot.stat().st_mtime > SILENT_SECONDS
        except FileNotFoundError:
            return True
        name = _NAME.fullmatch(slot.name)
        if name is None or name["place"] != self._place:
            return silent
        try:
            process = psutil.Process(int(name["pid"]))
            # Killed, and its parent has not looked yet.
            gone = process.status() == psutil.STATUS_ZOMBIE
            same = abs(process.create_time() - int(name["begin"])) <= _BEGIN_TOLERANCE
        except psutil.NoSuchProcess:
            return True
        return gone or (silent and not same)

    def _now(self) -> float:
        """The time by the clock that stamps files here."""
        os.utime(self.path)
        return self.path.stat().st_mtime

    def _beat(self) -> None:
        while not self.leaving.wait(BEAT_SECONDS):
            with suppress(OSError):
                os.utime(self.path)


def _place() -> str:
    """Where a process number means the same process: one host, since one boot, in one process namespace."""
    said = [socket.gethostname()]
    with suppress(OSError):  # Linux has them; elsewhere there are no namespaces, and a begin is a time of day
        said.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        said.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]


def _remove(folder: Path) -> None:
    for _ in range(_REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.01)
