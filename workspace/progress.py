"""The progress of a stage: a bar for people, a log in JSON lines for tools.

The bar (rich) goes to standard error and shows finished and remaining steps and the remaining time; without a terminal
it is a plain line every few seconds. The log is `logs/<stage>.jsonl`, one object a line with `time` (UTC, ISO 8601),
`event` and the fields of the event. Each shard has a file of its own.
"""

import json
import os
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from workspace.atomic import errors_naming, write_all
from workspace.layout import Workspace
from workspace.printable import in_line, printable
from workspace.terminal import Console

#: Seconds between two lines where there is no terminal.
PLAIN_INTERVAL = 10.0
_processes: ContextVar[int] = ContextVar("processes", default=1)


class Log:
    """The structured log of one run of a stage."""

    def __init__(self, workspace: Workspace, stage: str) -> None:
        workspace.logs.mkdir(parents=True, exist_ok=True)
        self.path: Path = workspace.logs / f"{stage}.jsonl"
        self._descriptor: int | None = None

    def event(self, event: str, **fields: Any) -> None:
        """Append one event. Values of types that JSON does not have are written as their `str`.

        The line is printable: no text of a stranger keeps it from being written, or ends it early.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, "event": event, **fields}, ensure_ascii=False, default=str)
        with errors_naming(self.path):
            if self._descriptor is None:
                # It stays open: one call of the file system an event.
                self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
                weakref.finalize(self, os.close, self._descriptor)
            write_all(self._descriptor, f"{printable(line)}\n".encode())


class Task:
    """A number of steps, shown on the screen."""

    def __init__(
        self,
        label: str,
        total: int | None,
        progress: Progress | None,
        console: Console,
    ) -> None:
        self._label, self._total, self._done = label, total, 0
        self._progress, self._console = progress, console
        self._interval = PLAIN_INTERVAL * _processes.get()
        self._printed = time.monotonic()
        self._bar = progress.add_task(label, total=total, note="") if progress else None

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count `count` more steps as finished; `note` names the step."""
        self._done += count
        if self._progress is not None and self._bar is not None:
            self._progress.update(self._bar, advance=count, note=in_line(note))
        elif time.monotonic() - self._printed >= self._interval:
            self._printed = time.monotonic()
            of = f"/{self._total}" if self._total is not None else ""
            self._console.print(f"{self._label}: {self._done}{of} {in_line(note)}".rstrip())

    def say(self, line: str) -> None:
        """Print a line, above the bar."""
        self._console.print(in_line(line), soft_wrap=True)


@contextmanager
def one_of_many(processes: int) -> Iterator[None]:
    """A block whose tasks print to where those of so many processes do: lines, on a terminal too, each of them less
    often."""
    token = _processes.set(processes)
    try:
        yield
    finally:
        _processes.reset(token)


@contextmanager
def task(label: str, total: int | None = None) -> Iterator[Task]:
    """Show the progress of `total` steps (None: unknown) on standard error while the block runs."""
    console = Console(stderr=True)
    if _processes.get() > 1 or not console.is_terminal:
        yield Task(label, total, None, console)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield Task(label, total, progress, console)
