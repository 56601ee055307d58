"""The store of a supervisor that never asks the Hub: `cf-fetch` puts the files into it, on another machine.

Both use one weights directory on a shared file system. A generator whose contents are all in the pool is held, so that
nobody removes them, and hard-linked into the folder of this process, which is all that the child may read. Nothing is
copied to a disk of the node: loading reads each file once, so a copy would cost the same traffic and a disk besides;
what is linked stays whatever is freed. Every content is verified before it is used, because it came over a network; one
that is damaged is removed, and `cf-fetch` downloads it again.

Generators are taken as their files arrive, in order as far as several are there. While none is there, the process waits
as long as a `cf-fetch` runs that will fetch one of them; without one for `wait` seconds it gives up.
"""

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import CancelledError
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import TypeVar

from crawler.catalog import CatalogEntry
from samplers.weights.checker_list import read_checker_list
from samplers.weights.fetching import FetchError
from samplers.weights.notes import Notes
from samplers.weights.process_folder import ProcessFolder
from samplers.weights.store import LocalFiles, PoolUser, sizes_of
from samplers.weights.wanted import Wanted, add_wanted, known_keys, wanted_of
from workspace.command_line import REQUEUE_EXIT_CODE
from workspace.errors import CommunityForensicsError

#: Seconds between two looks for files: the first, and the longest; each is longer than the one before by `_GROWTH`.
FIRST_LOOK, LONGEST_LOOK = 1.0, 15.0
_GROWTH = 1.3
#: Seconds of waiting until it is said, and between two lines about it.
SILENT, REMINDER = 5.0, 600.0
#: Generators that are named to `cf-fetch`, which fetches them before others: as many as are downloaded ahead.
_NAMED = 4


T = TypeVar("T")


class NoFilesError(CommunityForensicsError):
    """The files that are left to sample are not in the store, and nobody fetches them: the run may be continued."""

    exit_code = REQUEUE_EXIT_CODE


def _print(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


class OfflineStore(PoolUser):
    """The store of one supervisor, in its process folder below the weights directory that `cf-fetch` fills."""

    is_hub_away = False

    def __init__(
        self,
        folder: ProcessFolder,
        wait: float,
        command: str,
        is_over: Callable[[str], bool] = lambda _: False,
        say: Callable[[str], None] = _print,
    ) -> None:
        """`wait`: seconds without a `cf-fetch`. `command`: how it is started, for messages. `is_over`: whether a
        generator is finished or failed meanwhile, such as because `cf-fetch` could not download it. Raises
        `StorageError`."""
        super().__init__(folder)
        self._is_over = is_over
        self._notes = Notes(folder)
        self._limit, self._command, self._say = wait, command, say

    def next_of(self, entries: Sequence[CatalogEntry], is_urgent: Callable[[], bool]) -> int:
        """Which of the generators that are left is used next: the first whose contents are all in the pool, else one
        that is over, of which no file will come.

        Waits for one. Raises `NoFilesError` after too long with an idle device (`is_urgent`) and without a `cf-fetch`,
        and `CancelledError` when this process is stopping.
        """
        keys = [(entry.generator, known_keys(entry), len(entry.all_files)) for entry in entries]

        def found() -> int | None:
            # One look at the folder, not one at each file.
            stored = self._pool.names()
            # A row that no download could verify is taken too: it fails with the reason.
            there = (at for at, (_, own, count) in enumerate(keys) if len(own) < count or stored >= {*own})
            over = (at for at, (name, *_) in enumerate(keys[:_NAMED]) if self._is_over(name))
            return next(chain(there, over), None)

        return self._waited(found, [name for name, *_ in keys], is_urgent)

    def lacking(self, entries: Iterable[CatalogEntry]) -> set[str]:
        """The generators whose files are not there: nobody helps with them."""
        with self._as_storage_error():
            stored = self._pool.names()
        return {entry.generator for entry in entries if not stored.issuperset(known_keys(entry))}

    def fetch(self, entry: CatalogEntry, is_urgent: Callable[[], bool] = lambda: True) -> LocalFiles:  # noqa: ARG002
        """A generator's files, verified. Raises `FetchError`, a transient one where a content was damaged or removed,
        `StorageError`, and `CancelledError` when this process is stopping."""
        files = self.fetch_local(entry)
        if files is None:
            detail = f"{entry.generator}: a file is not in {self._folder.weights_dir} or was damaged"
            raise FetchError(detail, transient=not self._is_over(entry.generator))
        return files

    def fetch_local(self, entry: CatalogEntry) -> LocalFiles | None:
        """A generator's files; None where one is not in the pool, or was damaged and is removed from it."""
        wanted, folders = wanted_of(entry, self._folder_of(entry.generator))
        started = time.perf_counter()
        with self._as_storage_error():
            if not self._space.hold({entry.generator: sizes_of(wanted)}):
                return None
            try:
                if self._put(wanted):
                    return LocalFiles(*folders, 0.0, time.perf_counter() - started)
            except BaseException:
                self.release(entry)
                raise
            self.release(entry)
        return None

    def fetch_checker(self, repo_id: str, revision: str) -> Path:
        """The folder of the safety checker's files, for the whole run; waits for them as `next_of`."""

        def found() -> Path | None:
            files = read_checker_list(self._folder.weights_dir, repo_id, revision)
            if files is None:
                return None
            wanted: Wanted = {}
            add_wanted(wanted, self._checker, repo_id, revision, files)
            with self._as_storage_error():
                if self._space.hold_for_run(sizes_of(wanted)) and self._put(wanted):
                    return self._checker
                shutil.rmtree(self._checker, ignore_errors=True)
            return None

        return self._waited(found, [repo_id], lambda: True)

    def _put(self, wanted: Wanted) -> bool:
        """Whether all contents are at their paths now; those that were damaged are removed from the pool."""
        there = [self._pool.put(key, path) for key, content in wanted.items() for path in content.paths]
        return all(there)

    def _waited(self, found: Callable[[], T | None], names: Sequence[str], is_urgent: Callable[[], bool]) -> T:
        """What `found` returns when it returns something."""
        waiting = _Waiting(self._folder, self._notes, names, self._limit, self._command, self._say)
        pause = FIRST_LOOK
        while (one := self._look(found)) is None:
            if is_urgent():
                waiting.look()
            if self._folder.stopping.wait(pause):
                raise CancelledError
            pause = min(pause * _GROWTH, LONGEST_LOOK)
        with self._as_storage_error():
            self._notes.wait_for(())
        return one

    def _look(self, found: Callable[[], T | None]) -> T | None:
        with self._as_storage_error():
            return found()


class _Waiting:
    """One time of waiting with an idle device: what is said, and when it ends."""

    def __init__(
        self,
        folder: ProcessFolder,
        notes: Notes,
        names: Sequence[str],
        limit: float,
        command: str,
        say: Callable[[str], None],
    ) -> None:
        self._folder, self._notes, self._names = folder, notes, names
        self._limit, self._command, self._say = limit, command, say
        self._began: float | None = None
        self._alone: float | None = None
        self._said: float | None = None

    def look(self) -> None:
        """Say what is waited for, from time to time. Raises `NoFilesError` when it is too long without a `cf-fetch`."""
        now = time.monotonic()
        if self._began is None:
            self._began = now
            self._notes.wait_for(self._names[:_NAMED])
        fillers = self._notes.fillers()
        coming = [one for one in fillers if not one.generators.isdisjoint(self._names)]
        self._alone = None if coming else (self._alone if self._alone is not None else now)
        what = self._names[0] if len(self._names) == 1 else f"{self._names[0]} and {len(self._names) - 1} others"
        place = self._folder.weights_dir
        who = ", ".join(one.who for one in fillers)
        if coming:
            state = f"cf-fetch ({', '.join(one.who for one in coming)}) fetches them"
        elif fillers:
            state = f"cf-fetch ({who}) is at work there and does not fetch them; start one that does: {self._command}"
        else:
            state = f"no cf-fetch is at work there; start it on a machine with internet: {self._command}"
        if self._alone is not None and now - self._alone >= self._limit:
            raise NoFilesError(
                f"--offline: the files of {what} are not in {place}, and for {_span(now - self._alone)} nobody has "
                f"fetched them; {state}. Then run the same command again"
            )
        if now - self._began >= SILENT and (self._said is None or now - self._said >= REMINDER):
            self._said = now
            self._say(f"waiting for the files of {what} in {place}, for {_span(now - self._began)} now: {state}")


def _span(seconds: float) -> timedelta:
    return timedelta(seconds=round(seconds))
