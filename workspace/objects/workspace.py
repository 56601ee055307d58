"""A workspace on an object store, for one command: a folder of this process that is sent to the bucket as it grows."""

import fcntl
import hashlib
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from workspace.errors import CommunityForensicsError, UsageError
from workspace.extras import require_extra
from workspace.layout import Needs, Workspace
from workspace.objects.bucket import Bucket
from workspace.objects.leases import Leases
from workspace.objects.replica import Replica

#: Seconds between two looks at what changed, such as logs and prompts.
SEND_SECONDS = 10.0
#: The folder for replicas, on a local disk of the node.
CACHE_VARIABLE = "CF_CACHE_DIR"
#: Processes of one node that work in one workspace.
_MOST = 4096


class Remote:
    """What the stages ask of an object store (`workspace.layout.Remote`)."""

    def __init__(self, bucket: Bucket, replica: Replica, needs: Needs) -> None:
        self._bucket, self._replica, self._needs = bucket, replica, needs

    def bring(self, generator: str, *, whole: bool = False) -> None:
        """Make the files of a generator in the folder what the bucket has; `whole`: with its images."""
        self._replica.bring(generator, whole=whole)

    def send(self, generator: str) -> None:
        """Put what was made of a generator into the bucket."""
        self._replica.send(generator)

    @contextmanager
    def alone(self, work: str, process: str, seconds: float) -> Iterator[None]:
        """A block in which one process of all nodes does this work: it sees what the one before it wrote."""
        with self.leases(work, process) as leases, leases.lock("lock", seconds):
            self._replica.send_others()
            self._replica.bring_shared(manifest=self._needs.manifest)
            yield
            self._replica.send_others()

    @contextmanager
    def leases(self, work: str, process: str) -> Iterator[Leases]:
        """The claims of a process for a kind of work; given back at the end."""
        leases = Leases(self._bucket, work, process)
        try:
            yield leases
        finally:
            # A store that does not answer does not hide why the block ended; the claims become free by themselves.
            with suppress(CommunityForensicsError):
                leases.stop()


@dataclass(frozen=True)
class ObjectWorkspace(Workspace):
    """A workspace whose folder `root` is a replica of a bucket."""

    store: Remote

    @property
    def remote(self) -> Remote:
        """The object store."""
        return self.store

    def __reduce__(self) -> str:
        raise UsageError(
            "a workspace on an object store belongs to one process: start one command for each device "
            "(--shard, --device) instead of several processes by one"
        )


@contextmanager
def opened_objects(address: str, needs: Needs) -> Iterator[Workspace]:
    """A block with the workspace at an address s3://BUCKET/NAME; at its end all that was made is in the bucket.

    Raises `UsageError` for an address or settings that do not fit, a bucket that does not exist or may not be used,
    and a server without conditional writes; `CommunityForensicsError` where the store does not answer.
    """
    require_extra("objects", f"--workspace {address}")
    bucket = Bucket(address)
    bucket.require(writing=needs.writes)
    with _folder(bucket.address) as root:
        replica = Replica(bucket, root)
        replica.begin()
        replica.bring_all(whole=needs.images, manifest=needs.manifest, logs=needs.logs)
        workspace = ObjectWorkspace(root, Remote(bucket, replica, needs))
        stop = threading.Event()

        def follow() -> None:
            while not stop.wait(SEND_SECONDS):
                # Tried again, and at the end without hiding errors.
                with suppress(CommunityForensicsError, OSError):
                    if needs.writes:
                        replica.send_others()
                    else:
                        replica.bring_all(whole=needs.images, manifest=needs.manifest, logs=needs.logs)

        thread = threading.Thread(target=follow, daemon=True)
        if needs.writes or needs.follows:
            thread.start()
        try:
            yield workspace
        finally:
            stop.set()
            if thread.is_alive():
                thread.join()
            if needs.writes:
                replica.send_others()
            replica.keep_state()


@contextmanager
def _folder(address: str) -> Iterator[Path]:
    """A folder for a replica of this process alone; that of an earlier process of this workspace where one is free."""
    given = os.environ.get(CACHE_VARIABLE)
    top = Path(given) if given else Path(tempfile.gettempdir()) / f"community-forensics-objects-{os.getuid()}"
    try:
        folder, lock = _free_folder(top, address, is_shared=given is None)
    except OSError as error:
        raise UsageError(
            f"{error.filename or top} cannot be used for the files of this node ({error.strerror}): name a folder on a "
            f"local disk as {CACHE_VARIABLE}"
        ) from error
    with lock:
        yield folder


def _free_folder(top: Path, address: str, *, is_shared: bool) -> tuple[Path, IO[bytes]]:
    """A folder below `top`, and the open file whose lock keeps others from it; `is_shared`: whether others may write
    to where `top` is."""
    top.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = top.stat()
    if is_shared and (found.st_uid != os.getuid() or found.st_mode & 0o022 or top.is_symlink()):
        raise UsageError(f"{top} belongs to somebody else: name a folder on a local disk as {CACHE_VARIABLE}")
    name = hashlib.sha256(address.encode()).hexdigest()[:16]
    for number in range(_MOST):
        folder = top.resolve() / f"{name}-{number}"
        folder.mkdir(exist_ok=True)
        lock = folder.with_suffix(".lock").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return folder, lock
        except BlockingIOError:
            lock.close()
        except OSError:
            lock.close()
            raise
    raise CommunityForensicsError(f"{top}: {_MOST} processes of this node use {address} already")
