"""The progress of a stage: a bar for people, a log in JSON lines for tools.

The bar (rich) goes to standard error and shows finished and remaining steps and the remaining time; without a terminal
it is a plain line every few seconds. The log is `logs/<stage>.jsonl`, one object a line with `time` (UTC, ISO 8601),
`event` and the fields of the event. Each shard has a file of its own.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
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

from workspace.atomic import errors_naming
from workspace.layout import Workspace
from workspace.printable import in_line, printable
from workspace.terminal import Console

#: Seconds between two lines where there is no terminal.
PLAIN_INTERVAL = 10.0


class Log:
    """The structured log of one run of a stage."""

    def __init__(self, workspace: Workspace, stage: str) -> None:
        workspace.logs.mkdir(parents=True, exist_ok=True)
        self.path: Path = workspace.logs / f"{stage}.jsonl"

    def event(self, event: str, **fields: Any) -> None:
        """Append one event. Values of types that JSON does not have are written as their `str`.

        The line is printable: no text of a stranger keeps it from being written, or ends it early.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, "event": event, **fields}, ensure_ascii=False, default=str)
        with errors_naming(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(f"{printable(line)}\n")


class Task:
    """A number of steps, shown on the screen."""

    def __init__(self, label: str, total: int | None, progress: Progress | None, console: Console) -> None:
        self._label, self._total, self._done = label, total, 0
        self._progress, self._console = progress, console
        self._printed = time.monotonic()
        self._bar = progress.add_task(label, total=total, note="") if progress else None

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count `count` more steps as finished; `note` names the step."""
        self._done += count
        if self._progress is not None and self._bar is not None:
            self._progress.update(self._bar, advance=count, note=in_line(note))
        elif time.monotonic() - self._printed >= PLAIN_INTERVAL:
            self._printed = time.monotonic()
            of = f"/{self._total}" if self._total is not None else ""
            self._console.print(f"{self._label}: {self._done}{of} {in_line(note)}".rstrip())

    def say(self, line: str) -> None:
        """Print a line, above the bar."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def task(label: str, total: int | None = None) -> Iterator[Task]:
    """Show the progress of `total` steps (None: unknown) on standard error while the block runs."""
    console = Console(stderr=True)
    if not console.is_terminal:
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
