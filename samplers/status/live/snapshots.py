"""What the page shows: a look at the workspace, made when somebody asks and the former one is old enough.

So nothing is read while nobody looks, and many who look cost as much as one.
"""

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from samplers.status.live.newest_images import NewestImages, NewImages
from samplers.status.run import RunStatus, Watcher
from workspace.errors import CommunityForensicsError, in_one_line
from workspace.layout import Workspace


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One look."""

    taken: str
    """The time of this machine, UTC."""
    status: RunStatus | None
    """None where the workspace cannot be read."""
    images: tuple[NewImages, ...]
    error: str | None
    """Why it cannot be read."""


class Snapshots:
    """Looks at a workspace at most once in `every` seconds. Threads may share it."""

    def __init__(self, workspace: Workspace, every: float) -> None:
        self._every = every
        self._watcher = Watcher(workspace)
        self.newest = NewestImages(workspace)
        """The images of the last look."""
        self._lock = threading.Lock()
        self._last: tuple[float, Snapshot] | None = None

    def now(self) -> Snapshot:
        """The last look, or a new one where that is too old."""
        with self._lock:
            if self._last is None or time.monotonic() - self._last[0] >= self._every:
                self._last = (time.monotonic(), self._look())
            return self._last[1]

    def _look(self) -> Snapshot:
        taken = datetime.now(UTC).isoformat(" ", timespec="seconds").removesuffix("+00:00") + " UTC"
        try:
            status = self._watcher.look(time.time())
            return Snapshot(taken=taken, status=status, images=self.newest.look(status.shards), error=None)
        except CommunityForensicsError as error:
            return Snapshot(taken=taken, status=None, images=(), error=str(error))
        except OSError as error:
            # A file server that is away for a moment.
            return Snapshot(taken=taken, status=None, images=(), error=in_one_line(error))
