"""Claims: which process samples which generator, on all nodes that share the workspace.

A process claims a generator before it samples it, so that two do not do the same work. No image and no row relies on
that: what a process makes is put in place as if there were no claims (`storage`). A claim is a lock
(`workspace/folder_lock.py`) beside the process folders of all `cf-sample` of the workspace. A process shows once a
minute that it runs; the claims of one that did not for five minutes, or that is known to have ended, are free.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from workspace.errors import CommunityForensicsError
from workspace.exclusive import at_work, note_of
from workspace.folder_lock import FolderLock
from workspace.layout import Workspace, generator_folder
from workspace.process_folder import SILENT_SECONDS, ProcessFolder

#: Seconds between two signs that a process runs: one file operation a minute on the shared file system.
TOUCH_SECONDS = 60.0
_WORK = "sample"


class TakenOverError(CommunityForensicsError):
    """Another process took over a generator, because this one did not run for long."""


class Claims:
    """The claims of one process; `process` has a folder for files of its own, on the workspace's file system."""

    def __init__(self, process: ProcessFolder) -> None:
        self.process = process

    @contextmanager
    def claim(self, generator: str) -> Iterator[bool]:
        """A block in which this process has the generator; False: another one has it."""
        lock = self._lock(generator)
        claimed = lock.try_once()
        try:
            yield claimed
        finally:
            if claimed:
                lock.release()

    def is_free(self, generator: str) -> bool:
        """Whether the generator could be claimed at the moment."""
        holder = self._lock(generator).holder()
        return holder is None or self.process.is_silent(holder)

    def holder(self, generator: str) -> str:
        """Who has the generator, such as `: process 7 on host`; empty where unknown."""
        return note_of(self._lock(generator).holder())

    def check(self, generator: str) -> None:
        """Raise `TakenOverError` where this process did not run for so long that another one took the generator."""
        if self.process.untouched_seconds < SILENT_SECONDS:
            return
        if self._lock(generator).holder() != self.process.path:
            raise TakenOverError(
                f"{generator}: this process did not run for more than {SILENT_SECONDS:.0f} seconds, so another one "
                "continues with this generator"
            )

    def _lock(self, generator: str) -> FolderLock:
        return FolderLock(self.process.path, self.process.is_silent, _claim_name(generator_folder(generator)))


@contextmanager
def claims_of(workspace: Workspace) -> Iterator[Claims]:
    """The claims of this process, which are free again at the end; folders of processes that ended are removed."""
    with at_work(workspace, _WORK, TOUCH_SECONDS) as process:
        _remove_dead(process)
        try:
            yield Claims(process)
        finally:
            # On a full disk the next process does it.
            with suppress(OSError):
                _remove_dead(process)


def process_folders(workspace: Workspace) -> Path:
    """The folder with the folders of all `cf-sample` of a workspace."""
    return workspace.locks / _WORK


def _remove_dead(process: ProcessFolder) -> None:
    """Remove the folders and claims of processes that ended."""
    with process.lock:
        process.others()
    for path in process.path.parent.glob(_claim_name("*")):
        claim = FolderLock(process.path, process.is_silent, path.name)
        holder = claim.holder()
        if (holder is None or process.is_silent(holder)) and claim.try_once():
            claim.release()


def _claim_name(generator: str) -> str:
    return f"claim-{generator}"
