"""Downloads of a mirror: one for each content, however many clients ask for it, and also across processes.

What has arrived is in `partial/<hash>`, so clients get the first bytes while the others are still coming, and a killed
server continues where it stopped. Whose download it is decides a lock on that file, which ends with its process; other
processes read what arrives. A client gets the last bytes only when the hash of all is right: a damaged file never
arrives complete.
"""

import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from localhub.blobs import CHUNK_BYTES
from localhub.mirror.copies import CopyStore
from localhub.mirror.space import Space
from localhub.mirror.upstream import Upstream
from localhub.records import Commit, Repo
from localhub.request_errors import RequestError
from workspace.errors import disk_error
from workspace.hub_file import DamagedError
from workspace.identity import sha256_of_file

#: Bytes at the end that clients get only when the hash is right.
HELD_BACK = 1 << 16
#: Downloads of a content whose hash was wrong.
_TRIES = 2
#: Seconds between two looks at the download of another process.
_LOOK = 0.2


@dataclass
class Download:
    """A content that is being downloaded."""

    size: int
    partial: Path
    blob: Path | None = None
    """Where it is when it is complete."""
    error: BaseException | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def available(self) -> int:
        """Bytes from the beginning that clients may get now."""
        if self.blob is not None:
            return self.size
        try:
            return max(0, min(self.partial.stat().st_size, self.size - HELD_BACK))
        except FileNotFoundError:
            return 0

    def wait(self) -> Path:
        """The complete content; raises what the download failed with."""
        self.ended.wait()
        if self.blob is None:
            raise self.error or CancelledError()
        return self.blob


class Downloads:
    """The downloads of one process."""

    def __init__(self, store: CopyStore, upstream: Upstream, space: Space) -> None:
        self._store, self._upstream, self._space = store, upstream, space
        self._folder = store.root / "partial"
        self._lock = threading.Lock()
        self._running: dict[str, Download] = {}

    def begin(self, repo: Repo, commit: Commit, path: str, token: str | None = None) -> Download:
        """Download a file of a commit, unless that is being done. `token` opens the repository."""
        file = commit.files[path]
        with self._lock:
            running = self._running.get(file.etag)
            if running is None:
                running = self._running[file.etag] = Download(file.size, self._folder / file.etag)
                thread = threading.Thread(target=self._run, args=(running, repo, commit, path, token), daemon=True)
                thread.start()
            return running

    def _run(self, download: Download, repo: Repo, commit: Commit, path: str, token: str | None) -> None:
        key = commit.files[path].etag
        try:
            self._space.reserve(key, download.size)
            download.blob = self._downloaded(download, repo, commit, path, token)
        except OSError as error:
            download.error = disk_error(error) or error
        except BaseException as error:
            download.error = error
        finally:
            self._space.release(key)
            with self._lock:
                del self._running[key]
            download.ended.set()

    def _downloaded(self, download: Download, repo: Repo, commit: Commit, path: str, token: str | None) -> Path:
        prefix = "" if repo.kind == "model" else f"{repo.kind}s/"
        target = f"/{prefix}{quote(repo.id)}/resolve/{commit.id}/{quote(path)}"
        for attempt in range(_TRIES):
            with self._alone(download.partial):
                commit = self._store.commit_of(repo, commit.id)
                if self._store.has(commit.files[path]):  # another process has downloaded it meanwhile
                    return self._store.blobs.path(commit.files[path].sha256)
                damage = "the hash of its bytes is another one"
                try:
                    self._upstream.download(target, download.partial, download.size, token)
                    if (sha256 := self._sha256(download, commit, path)) is not None:
                        blob = self._store.blobs.adopt(download.partial, sha256)
                        if not commit.files[path].sha256:
                            self._store.note_content(repo.kind, repo.id, commit.id, path, sha256)
                        return blob
                except DamagedError as error:
                    damage = str(error)
                download.partial.unlink(missing_ok=True)
            if attempt + 1 == _TRIES:
                raise RequestError(f"{repo.id}: the Hub gives a damaged {path}: {damage}", status=502)
        raise AssertionError

    def _sha256(self, download: Download, commit: Commit, path: str) -> str | None:
        """The sha256 of what was downloaded; None where it is another content."""
        file, found = commit.files[path], sha256_of_file(download.partial)
        if file.lfs:
            return found if found == file.sha256 else None
        return found if _git_hash(download.partial, file.size) == file.oid else None

    @contextmanager
    def _alone(self, partial: Path) -> Iterator[None]:
        """A block in which no other process downloads this content. Raises `CancelledError` when the server stops."""
        name = partial.with_name(f"{partial.name}.lock")
        name.parent.mkdir(parents=True, exist_ok=True)
        while True:
            with name.open("ab") as lock:
                if not _locked(lock.fileno(), name):
                    if self._upstream.stopping.wait(_LOOK):
                        raise CancelledError
                    continue
                try:
                    yield
                finally:
                    name.unlink(missing_ok=True)
                return


def _git_hash(path: Path, size: int) -> str:
    """The hash that git has for a file."""
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as content:
        while part := content.read(CHUNK_BYTES):
            digest.update(part)
    return digest.hexdigest()


def _locked(descriptor: int, name: Path) -> bool:
    """Whether this process has the lock of an open file now that still has its name."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(descriptor).st_ino == name.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        return False
