"""Which generators need no files any more: finished, or failed, by the rows and outcomes of the workspace."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress

from samplers.assignment.pending import PendingGenerator, fresh_look
from samplers.options import SampleOptions
from workspace.layout import Workspace, generator_folder

#: Seconds between two looks at each outcome that was there at the start: one file operation for each of thousands.
_EACH_SECONDS = 60.0


class Finished:
    """Watches generators that were not finished at the start.

    The rows of one are read when its outcome is new or has changed: it is the last that a sampler writes. New ones are
    found by one listing.
    """

    def __init__(self, workspace: Workspace, generators: Iterable[PendingGenerator], options: SampleOptions) -> None:
        self._workspace, self._options = workspace, options
        self._left = {one.entry.generator: one for one in generators}
        self._names = {f"{generator_folder(name)}.json": name for name in self._left}
        self._changed = {name: self._changed_at(name) for name in self._listed()}
        self._looked = time.monotonic()

    def news(self) -> list[str]:
        """Those that are finished or failed since the last call."""
        found = []
        for name in self._candidates():
            changed = self._changed_at(name)
            if (
                self._changed.get(name) != changed
                and fresh_look(self._workspace, self._left[name], self._options) is None
            ):
                del self._left[name]
                found.append(name)
            self._changed[name] = changed
        return found

    def _candidates(self) -> list[str]:
        listed = self._listed()
        if time.monotonic() - self._looked < _EACH_SECONDS:
            return [name for name in listed if name not in self._changed]
        self._looked = time.monotonic()
        return listed

    def _listed(self) -> list[str]:
        """Those of them that have an outcome."""
        with suppress(FileNotFoundError), os.scandir(self._workspace.outcomes) as files:
            names = (self._names.get(file.name) for file in files)
            return [name for name in names if name in self._left]
        return []

    def _changed_at(self, name: str) -> int | None:
        with suppress(OSError):
            return self._workspace.outcome_of(name).stat().st_mtime_ns
        return None
