"""What appears in a folder, however briefly: the kernel's own record of it (inotify)."""

import ctypes
import os
import struct
from pathlib import Path

_CREATED, _MOVED_HERE = 0x100, 0x80


class Watch:
    """Collects the name of every file that is made in a folder, or moved there, while the block runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.names: list[str] = []

    def __enter__(self) -> "Watch":
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(os.O_NONBLOCK)
        watching = libc.inotify_add_watch(self._descriptor, os.fsencode(self._folder), _CREATED | _MOVED_HERE)
        assert watching >= 0, os.strerror(ctypes.get_errno())
        return self

    def __exit__(self, *_: object) -> None:
        while events := self._read():
            place = 0
            while place < len(events):
                (length,) = struct.unpack_from("I", events, place + 12)
                self.names.append(events[place + 16 : place + 16 + length].rstrip(b"\0").decode())
                place += 16 + length
        os.close(self._descriptor)

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, 1 << 20)
        except BlockingIOError:
            return b""
