"""Claims: which process does which piece of work, on all nodes that share the workspace.

A process claims what it does, so that two do not do the same: a generator, or a unit of it ("ORG/NAME~128"). No result
relies on that: what a process makes is put in place as if there were no claims. A claim is a lock
(`workspace/folder_lock.py`) beside the folders of all processes that do this kind of work in the workspace. A process
shows once a minute that it runs; the claims of one that did not for five minutes, or that is known to have ended, are
free.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from workspace.errors import CommunityForensicsError
from workspace.exclusive import at_work, note_of
from workspace.folder_lock import FolderLock
from workspace.layout import Remote, Workspace
from workspace.process_folder import SILENT_SECONDS, ProcessFolder, is_process_folder

#: Seconds between two signs that a process runs: one file operation a minute on the shared file system.
TOUCH_SECONDS = 60.0
_PREFIX = "claim-"

if TYPE_CHECKING:
    from workspace.objects.leases import Leases


class TakenOverError(CommunityForensicsError):
    """Another process took over a piece of work, because this one did not run for long."""


class Claims:
    """The claims of one process; `process` has a folder for files of its own, on the workspace's file system."""

    def __init__(self, process: ProcessFolder) -> None:
        self.process = process

    @contextmanager
    def claim(self, name: str) -> Iterator[bool]:
        """A block in which this process has the claim of that name; False: another one has it."""
        lock = self._lock(name)
        claimed = lock.try_once()
        try:
            yield claimed
        finally:
            if claimed:
                lock.release()

    def is_free(self, name: str) -> bool:
        """Whether it could be claimed at the moment."""
        holder = self._lock(name).holder()
        return holder is None or self.process.is_silent(holder)

    def holder(self, name: str) -> str:
        """Who has it, such as `: process 7 on host`; empty where unknown."""
        return note_of(self._lock(name).holder())

    def check(self, name: str) -> None:
        """Raise `TakenOverError` where this process did not run for so long that another one took it."""
        if self.process.longest_silence < SILENT_SECONDS:
            return
        if self._lock(name).holder() != self.process.path:
            raise self._taken_over(name)

    def taken(self) -> frozenset[str]:
        """The names of all claims, with `--` in place of `/`, by one listing; those of processes that ended too."""
        with suppress(FileNotFoundError), os.scandir(self.process.path.parent) as entries:
            return frozenset(one.name.removeprefix(_PREFIX) for one in entries if one.name.startswith(_PREFIX))
        return frozenset()

    def _taken_over(self, name: str) -> TakenOverError:
        return TakenOverError(
            f"{name}: this process did not run for more than {SILENT_SECONDS:.0f} seconds, so another one continues "
            "with it"
        )

    def _lock(self, name: str) -> FolderLock:
        return FolderLock(self.process.path, self.process.is_silent, _claim_name(name))


class ObjectClaims(Claims):
    """The claims of one process in a workspace on an object store, where they are objects.

    Who has claimed a generator has all of it in the folder as it is then; for a unit, all but the images in its parts.
    """

    def __init__(self, process: ProcessFolder, leases: "Leases", remote: Remote) -> None:
        super().__init__(process)
        self._leases, self._remote = leases, remote

    @contextmanager
    def claim(self, name: str) -> Iterator[bool]:
        """As `Claims.claim`."""
        claimed = self._leases.take(name)
        try:
            if claimed:
                generator, unit, _ = name.partition("~")
                self._remote.bring(generator, whole=not unit)
            yield claimed
        finally:
            if claimed:
                self._leases.release(name)

    def is_free(self, name: str) -> bool:
        """As `Claims.is_free`."""
        return self._leases.is_free(name)

    def holder(self, name: str) -> str:
        """As `Claims.holder`."""
        return self._leases.holder(name)

    def check(self, name: str) -> None:
        """As `Claims.check`."""
        if self._leases.is_lost(name):
            raise self._taken_over(name)

    def taken(self) -> frozenset[str]:
        """As `Claims.taken`."""
        return self._leases.names()


@contextmanager
def claims_of(workspace: Workspace, work: str) -> Iterator[Claims]:
    """The claims of this process for a kind of work, such as "sample".

    They are free again at the end; folders of processes that ended are removed.
    """
    with at_work(workspace, work, TOUCH_SECONDS) as process:
        _remove_dead(process)
        if workspace.remote is not None:
            with workspace.remote.leases(work, process.path.name) as leases:
                leases.remove_dead()
                yield ObjectClaims(process, leases, workspace.remote)
            return
        try:
            yield Claims(process)
        finally:
            # On a full disk the next process does it.
            with suppress(OSError):
                _remove_dead(process)


def process_folders(workspace: Workspace, work: str) -> Path:
    """The folder with the folders of all processes that do this kind of work."""
    return workspace.locks / work


def _remove_dead(process: ProcessFolder) -> None:
    """Remove the folders and claims of processes that ended."""
    names = [path.name for path in process.path.parent.iterdir()]
    # The lock too: of a process that was killed while it had it.
    if any((is_process_folder(name) or name == "lock") and name != process.path.name for name in names):
        with process.lock:
            process.others()
    for name in names:
        if not name.startswith(_PREFIX):
            continue
        claim = FolderLock(process.path, process.is_silent, name)
        holder = claim.holder()
        if (holder is None or process.is_silent(holder)) and claim.try_once():
            claim.release()


def _claim_name(name: str) -> str:
    return _PREFIX + name.replace("/", "--")
