"""Who does what, on all nodes that share a bucket: what process folders and their locks are in a folder.

A process that works has an object of its own, `.locks/<work>/<process>`, and writes it again every now and then. What
it has claimed is an object too, with its name in it; it is made on the condition that there is none. A claim whose
process has not written its object for `SILENT_SECONDS`, or has none any more, is free: it is taken over on the
condition that it is still the same claim, so of several that try one succeeds.

Only times that the server noted are compared with each other: those at which it received the objects. No clock of a
node counts, but for the seconds since its own last sign of life.
"""

import json
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from workspace import process_folder
from workspace.errors import ChangedElsewhereError, CommunityForensicsError
from workspace.objects.bucket import Bucket

_CLAIM = "claim-"
#: Signs of life while a claim may live.
_BEATS = 5
#: Seconds between two attempts to get a lock, the most.
_WAIT = 2.0


class Leases:
    """The claims of one process for one kind of work; `stop` ends its signs of life and removes its object."""

    def __init__(self, bucket: Bucket, work: str, process: str) -> None:
        self._bucket, self._folder, self.process = bucket, f".locks/{work}/", process
        self.silent_seconds = process_folder.SILENT_SECONDS
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._note = f"process {os.getpid()} on {socket.gethostname()}, since {now}"
        self._held: dict[str, str] = {}
        self._beats, self._etag = 0, ""
        self._written = self._answered = self._longest = 0.0
        self._touched = time.monotonic()
        self._stopping = threading.Event()
        self._beat()
        threading.Thread(target=self._live, daemon=True).start()

    def stop(self) -> None:
        """End: claims that are still held are released."""
        self._stopping.set()
        for name in list(self._held):
            self.release(name)
        self._bucket.remove(self._folder + self.process)

    def take(self, name: str) -> bool:
        """Claim a name, if it is free or its process is gone; never waits."""
        key, content = self._key(name), self._content()
        try:
            self._held[name] = self._bucket.create(key, content)
            return True
        except ChangedElsewhereError:
            pass
        there = self._bucket.read(key)
        if there is None or not self._is_gone(_process_of(there[0])):
            return False
        try:
            self._held[name] = self._bucket.replace(key, content, there[1].etag)
            return True
        except ChangedElsewhereError:
            return False

    def release(self, name: str) -> None:
        """Give a claim back, unless another process may have it by now."""
        held = self._held.pop(name, None)
        if held is None:
            return
        # Nobody takes it over before the time is out. Where that may be soon, one looks.
        if self.longest_silence < self.silent_seconds / 2 or self._is_own(name):
            self._bucket.remove(self._key(name))

    def is_free(self, name: str) -> bool:
        """Whether it could be claimed at the moment."""
        there = self._bucket.read(self._key(name))
        return there is None or self._is_gone(_process_of(there[0]))

    def holder(self, name: str) -> str:
        """Who has it, such as `: process 7 on host`; empty where unknown."""
        there = self._bucket.read(self._key(name))
        with suppress(ValueError, KeyError, TypeError):
            if there is not None:
                return f": {json.loads(there[0])['note']}"
        return ""

    def is_lost(self, name: str) -> bool:
        """Whether another process has what this one claimed, because this one did not run for long."""
        return self.longest_silence >= self.silent_seconds and not self._is_own(name)

    def names(self) -> frozenset[str]:
        """All claims, those of processes that ended too, as they are in the names of the objects."""
        prefix = self._folder + _CLAIM
        return frozenset(
            name.removeprefix(prefix) for name in self._bucket.listing(self._folder) if name.startswith(prefix)
        )

    def remove_dead(self) -> None:
        """Remove the objects of processes that ended without it, and their claims."""
        for name, found in self._bucket.listing(self._folder).items():
            last = name.removeprefix(self._folder)
            if last.startswith(_CLAIM):
                if self.is_free(last.removeprefix(_CLAIM)) and self.take(claimed := last.removeprefix(_CLAIM)):
                    self.release(claimed)
            elif last != self.process and self._server_now() - found.written > self.silent_seconds:
                self._bucket.remove(name)

    @contextmanager
    def lock(self, name: str, seconds: float) -> Iterator[None]:
        """Hold a claim in a block; raises `CommunityForensicsError` where it is not free in that time."""
        deadline, longest = time.monotonic() + seconds, 0.1
        while not self.take(name):
            if deadline < time.monotonic():
                raise CommunityForensicsError(
                    f"another process is at work ({self._folder.split('/')[1]}{self.holder(name)}) in "
                    f"{self._bucket.address}: wait until it has ended, then run the same command again (a process that "
                    f"was killed counts as ended after {self.silent_seconds / 60:.0f} minutes)"
                )
            time.sleep(random.uniform(0.02, longest))
            longest = min(longest * 1.3, _WAIT)
        try:
            yield
        finally:
            self.release(name)

    @property
    def longest_silence(self) -> float:
        """The most seconds between two signs of life until now: after a stop the first act may be a sign."""
        return max(self._longest, time.monotonic() - self._touched)

    def _is_own(self, name: str) -> bool:
        there = self._bucket.read(self._key(name))
        return there is not None and _process_of(there[0]) == self.process

    def _is_gone(self, process: str | None) -> bool:
        """Whether a process has given no sign of life for long."""
        if process == self.process:
            return False
        found = self._bucket.look(self._folder + process) if process else None
        return found is None or self._server_now() - found.written > self.silent_seconds

    def _server_now(self) -> float:
        """The time by the server's clock, at least: it is counted on from when this process's object was written. Its
        stamps may be whole seconds, cut, so a process is never called silent a second early by them."""
        return self._written + time.monotonic() - self._answered - 1

    def _beat(self) -> None:
        """Write the object of this process, which only this process does."""
        name = self._folder + self.process
        self._beats += 1
        content = json.dumps({"note": self._note, "sign": self._beats}).encode()
        # A process that was stopped must not think that it gave the sign when it woke: the time before counts.
        before = time.monotonic()
        try:
            self._etag = self._bucket.replace(name, content, self._etag) if self._etag else ""
        except ChangedElsewhereError:
            # Removed by one that called this process ended.
            self._etag = ""
        if not self._etag:
            self._etag = self._bucket.create(name, content)
        answered = time.monotonic()
        if (found := self._bucket.look(name)) is not None:
            self._longest = max(self._longest, before - self._touched)
            self._written, self._answered, self._touched = found.written, answered, before

    def _live(self) -> None:
        while not self._stopping.wait(self.silent_seconds / _BEATS):
            # While the store does not answer, `is_lost` knows.
            with suppress(CommunityForensicsError):
                self._beat()

    def _content(self) -> bytes:
        return json.dumps({"process": self.process, "note": self._note}).encode()

    def _key(self, name: str) -> str:
        return self._folder + _CLAIM + name.replace("/", "--")


def _process_of(claim: bytes) -> str | None:
    """The process in a claim; None for one that is no claim, which is free."""
    try:
        process = json.loads(claim)["process"]
    except (ValueError, KeyError, TypeError):
        return None
    return process if isinstance(process, str) and process_folder.is_process_folder(process) else None
