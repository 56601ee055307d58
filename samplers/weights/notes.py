"""What the processes of a shared store tell each other in their process folders: who fills it with what, and who waits
for what.

A note is written whole, and gone with its process. A reader needs no lock: an old note costs a moment's waiting, and
nothing else.
"""

import json
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from samplers.weights.process_folder import ProcessFolder

_FILLS, _AWAITS = "fills.json", "awaits.json"


@dataclass(frozen=True)
class Filler:
    """A running `cf-fetch`."""

    who: str
    """Such as `process 7 on login-1`."""
    generators: frozenset[str]
    """Those that it fetches, or has fetched."""


class Notes:
    """The notes of one process, and of all others that run."""

    def __init__(self, folder: ProcessFolder) -> None:
        self._folder = folder
        self._awaited: tuple[str, ...] = ()

    def fill(self, generators: Sequence[str]) -> None:
        """Say that this process fills the store with these generators, and no longer with others."""
        self._write(_FILLS, {"who": f"process {os.getpid()} on {socket.gethostname()}", "generators": [*generators]})

    def wait_for(self, generators: Sequence[str]) -> None:
        """Say that this process waits for these generators, with an idle device; for none: no more."""
        if tuple(generators) != self._awaited:
            self._awaited = tuple(generators)
            self._write(_AWAITS, [*generators])

    def fillers(self) -> list[Filler]:
        """Those that run."""
        found = []
        for note in self._read(_FILLS):
            with suppress(KeyError, TypeError):
                found.append(Filler(str(note["who"]), frozenset(map(str, note["generators"]))))
        return found

    def filled(self) -> set[str]:
        """The generators that those fetch, or have fetched."""
        return {name for filler in self.fillers() for name in filler.generators}

    def awaited(self) -> set[str]:
        """The generators that processes wait for with an idle device."""
        return {str(name) for note in self._read(_AWAITS) if isinstance(note, list) for name in note}

    def _read(self, name: str) -> Iterator[Any]:
        for path in self._folder.path.parent.glob(f"process-*/{name}"):
            folder = path.parent
            if folder != self._folder.path and not self._folder.is_dead(folder):
                with suppress(OSError, ValueError):
                    yield json.loads(path.read_bytes())

    def _write(self, name: str, note: Any) -> None:
        path = self._folder.path / name
        temporary = path.with_suffix(".partial")
        temporary.write_text(json.dumps(note), encoding="utf-8")
        temporary.replace(path)
