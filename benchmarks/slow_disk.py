"""A hard disk in place of this machine's: every read waits as one with a single arm would.

A read that does not begin where the last one of any process ended takes `SEEK_SECONDS` more; bytes come at
`BYTES_A_SECOND`. Opening a file and reading its directory take nothing, which flatters whoever opens many files.
"""

import io
import multiprocessing
import os
import time
from pathlib import Path
from typing import Any, BinaryIO, cast

#: A mean seek, and half a turn of 7,200 in a minute; bytes as such a disk gives them in a row.
SEEK_SECONDS, BYTES_A_SECOND = 0.008 + 30 / 7_200, 150e6


class SlowDisk:
    """Such a disk; processes that are forked share its arm."""

    def __init__(self) -> None:
        self._arm = multiprocessing.get_context("fork").Array("Q", 2)

    def open(self, path: Path) -> BinaryIO:
        """A file of this machine as if it were on the disk; it is read as it is asked, without a buffer."""
        return cast(BinaryIO, _File(self, path))

    def read(self, file: int, offset: int, length: int) -> bytes:
        """Bytes of an open file."""
        with self._arm:
            content = os.pread(file, length, offset)
            place = (os.fstat(file).st_ino, offset)
            elsewhere = (self._arm[0], self._arm[1]) != place
            time.sleep(len(content) / BYTES_A_SECOND + (SEEK_SECONDS if elsewhere else 0.0))
            self._arm[:] = [place[0], offset + len(content)]
        return content


class _File(io.RawIOBase):
    def __init__(self, disk: SlowDisk, path: Path) -> None:
        self._disk, self._file, self._at = disk, os.open(path, os.O_RDONLY), 0

    def close(self) -> None:
        if not self.closed:
            os.close(self._file)
        super().close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        size = os.fstat(self._file).st_size
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        content = self._disk.read(self._file, self._at, len(view))
        view[: len(content)] = content
        self._at += len(content)
        return len(content)
