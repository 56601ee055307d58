"""File contents, each under its own hash: `blobs/ab/ab12...`.

Equal contents are stored once, for all repositories and paths, and can be verified at any time. A content is written
under a temporary name, hashed while it is written, and renamed when its hash and size are the expected ones: a blob
that exists is complete and correct.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from localhub.names import is_sha256
from localhub.request_errors import BadRequest
from workspace.atomic import PARTIAL_SUFFIX, atomic_path, sync_path

#: Bytes read, hashed and written at a time.
CHUNK_BYTES = 1 << 20
#: A temporary file that was not written to for this long, in seconds, is of a killed writer.
ABANDONED_SECONDS = 24 * 3600


class Incoming:
    """A content that is being received: `write` it piece by piece; it is checked when its `receive` block ends."""

    def __init__(self, temporary: Path, sha256: str, size: int):
        self._file = temporary.open("wb")
        self._hash = hashlib.sha256()
        self._written = 0
        self._sha256 = sha256
        self._size = size

    def write(self, piece: bytes) -> None:
        """Append a piece; raises `BadRequest` if there are more bytes than announced."""
        self._written += len(piece)
        if self._written > self._size:
            raise BadRequest(f"there are more than the {self._size} bytes announced for {self._sha256}")
        self._hash.update(piece)
        self._file.write(piece)

    def close(self) -> None:
        """Close the file; what was written stays until the `receive` block decides."""
        self._file.close()

    def check(self) -> None:
        """Raise `BadRequest` unless all bytes are there and hash to what was announced."""
        if self._written != self._size:
            raise BadRequest(
                f"{self._written} bytes arrived of the {self._size} that were announced for {self._sha256}"
            )
        if self._hash.hexdigest() != self._sha256:
            raise BadRequest(f"what arrived has sha256 {self._hash.hexdigest()}, not {self._sha256} as announced")


class Blobs:
    """The contents under one folder, found by their SHA-256."""

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, sha256: str) -> Path:
        """The path of the content with this hash, even if it does not exist; raises `BadRequest` if invalid."""
        if not is_sha256(sha256):
            raise BadRequest(f"{sha256!r} is not a SHA-256: 64 lower-case hexadecimal digits")
        return self.folder / sha256[:2] / sha256

    def size(self, sha256: str) -> int | None:
        """The size in bytes of the content with this hash; None if it is not stored."""
        try:
            return self.path(sha256).stat().st_size
        except FileNotFoundError:
            return None

    def read(self, sha256: str, limit: int = -1) -> bytes:
        """The content, or its first `limit` bytes; raises `FileNotFoundError` if it is not stored."""
        with self.path(sha256).open("rb") as file:
            return file.read(limit)

    @contextmanager
    def receive(self, sha256: str, size: int) -> Iterator[Incoming]:
        """Receive a content of this hash and size (bytes); raises `BadRequest` if they differ."""
        with atomic_path(self.path(sha256)) as temporary:
            incoming = Incoming(temporary, sha256, size)
            try:
                yield incoming
            finally:
                incoming.close()
            incoming.check()

    def put(self, content: bytes | Path) -> tuple[str, int]:
        """Store bytes or a copy of a file; returns SHA-256 and size in bytes."""
        if isinstance(content, bytes):
            sha256, size = hashlib.sha256(content).hexdigest(), len(content)
            if self.size(sha256) is None:
                with self.receive(sha256, size) as incoming:
                    incoming.write(content)
            return sha256, size
        with content.open("rb") as file:
            sha256, size = hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
            if self.size(sha256) is None:
                file.seek(0)
                with self.receive(sha256, size) as incoming:
                    while piece := file.read(CHUNK_BYTES):
                        incoming.write(piece)
        return sha256, size

    def adopt(self, path: Path, sha256: str) -> Path:
        """Move a complete file with this hash, on the same file system, to where its content belongs."""
        target = self.path(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as content:
            os.fsync(content.fileno())
        path.replace(target)
        sync_path(target.parent)
        return target

    def remove_abandoned(self) -> None:
        """Remove temporary files older than `ABANDONED_SECONDS`: the writer of a younger one may be running."""
        oldest = time.time() - ABANDONED_SECONDS
        for left in self.folder.glob(f"*/.*{PARTIAL_SUFFIX}"):
            with suppress(FileNotFoundError):
                if left.stat().st_mtime < oldest:
                    left.unlink()
