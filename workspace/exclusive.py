"""What only one process of a workspace does at a time, on all nodes together, such as building the manifest.

Each process that wants to do some work makes a process folder in `.locks/<work>/` (`process_folder`); who has the lock
of that folder works, and the others wait for a while and are then refused. No result relies on the lock: whoever works
still writes whole files, and asks with `Held.check` before it puts several files in place that belong together.

What changes the files of all stages, such as `cf-remove`, is `upkeep`: it waits for all of them, and while it is at
work, or was interrupted, none of them begins. Each of the two makes its own folder before it looks for the other's, so
one of them sees the other.
"""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workspace.atomic import errors_naming, write_json, write_once
from workspace.errors import CommunityForensicsError, UsageError
from workspace.layout import Workspace
from workspace.process_folder import SILENT_SECONDS, TOUCH_SECONDS, ProcessFolder

#: Seconds to wait for another process: as long as a short piece of work may take.
WAIT = 10.0
#: The work that no other goes beside.
UPKEEP = "upkeep"
#: Seconds between two looks at others.
_LOOK = 0.1
#: The file in a process folder that says whose it is.
_NOTE = "process.txt"
#: Attempts to make a process folder while others, at their end, remove the empty folder above it.
_ATTEMPTS = 100


@dataclass(frozen=True)
class Held:
    """The right to do some work: `folder` is for files of this process, and is removed at the end."""

    folder: Path
    process: ProcessFolder
    _work: str

    def check(self) -> None:
        """Raise `CommunityForensicsError` where another process took over, because this one did not run for long."""
        if self.process.lock.holder() != self.process.path:
            raise CommunityForensicsError(
                f"this process did not run for {SILENT_SECONDS:.0f} seconds, so another one took over ({self._work}): "
                "run the same command again"
            )


@contextmanager
def alone(workspace: Workspace, work: str, seconds: float | None = None) -> Iterator[Held]:
    """A block that one process of the workspace is in at a time; `work` names it in a file name and in messages.

    Raises `CommunityForensicsError` when another process has not left it after `seconds` (None: `WAIT`).
    """
    with at_work(workspace, work) as process, ExitStack() as stack:
        try:
            stack.enter_context(process.lock.within(WAIT if seconds is None else seconds))
        except TimeoutError as error:
            raise CommunityForensicsError(
                f"another process is at work ({work}{note_of(process.lock.holder())}) in {workspace.root}: "
                f"wait until it has ended, then run "
                f"the same command again (a process that was killed on another node counts as ended after "
                f"{SILENT_SECONDS / 60:.0f} minutes)"
            ) from error
        process.others()
        if workspace.remote is not None:
            remote = workspace.remote.alone(work, process.path.name, WAIT if seconds is None else seconds)
            stack.enter_context(remote)
        yield Held(process.path, process, work)


@contextmanager
def at_work(workspace: Workspace, work: str, touch_seconds: float = TOUCH_SECONDS) -> Iterator[ProcessFolder]:
    """A folder of this process, beside those of all that do this work or wait for it; removed at the end.

    It is touched every `touch_seconds`, which shows the others that this process runs. Raises `CommunityForensicsError`
    while `upkeep` is at work, or was interrupted.
    """
    folder = workspace.locks / work
    try:
        with _process_folder(folder, touch_seconds) as process:
            host, now = socket.gethostname(), datetime.now(UTC).isoformat(timespec="seconds")
            note = process.path / _NOTE
            with errors_naming(note):
                write_once(note, f"process {os.getpid()} on {host}, since {now}".encode())
            if work != UPKEEP and not _is_nested(others := _others(workspace, process), process):
                _wait_for(workspace, process, lambda path: path.parent.name == UPKEEP, others)
                require_finished(workspace)
            yield process
    finally:
        for empty in (folder, workspace.locks):
            with suppress(OSError):
                empty.rmdir()


@contextmanager
def upkeep(workspace: Workspace) -> Iterator[Held]:
    """A block in which this process alone changes the workspace: no stage is at work, and none begins.

    Raises `CommunityForensicsError` when another process is at work for longer than `WAIT`.
    """
    with alone(workspace, UPKEEP) as held:
        _wait_for(workspace, held.process, lambda path: path.parent.name != UPKEEP)
        yield held


def begin_unfinished(workspace: Workspace, command: str, **details: Any) -> None:
    """Note, within `upkeep`, that `command` is not finished: until `end_unfinished` no stage works in the workspace."""
    write_json(workspace.unfinished, {"command": command, **details})


def read_unfinished(workspace: Workspace) -> dict[str, Any] | None:
    """What `begin_unfinished` noted; None: nothing is unfinished. Raises `UsageError` for a damaged note."""
    try:
        noted: dict[str, Any] = json.loads(workspace.unfinished.read_text(encoding="utf-8"))
        noted["command"] = str(noted["command"])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f"{workspace.unfinished} is damaged: remove it, and run the command that was interrupted again"
        ) from error
    return noted


def end_unfinished(workspace: Workspace) -> None:
    """Note that all is done."""
    workspace.unfinished.unlink(missing_ok=True)


def require_finished(workspace: Workspace) -> None:
    """Raise `CommunityForensicsError` where `cf-remove` or `cf-merge` was interrupted."""
    if (noted := read_unfinished(workspace)) is not None:
        raise CommunityForensicsError(
            f"{noted['command']} was interrupted in {workspace.root}: run it again with the same options, which "
            "completes it"
        )


def _is_nested(others: Sequence[Path], process: ProcessFolder) -> bool:
    """Whether this process was at work before: upkeep waits for it then, not the other way round."""
    same = process.path.name.rpartition("-")[0]
    return any(path.name.rpartition("-")[0] == same for path in others)


def _others(workspace: Workspace, process: ProcessFolder) -> list[Path]:
    """The folders of all other processes at work, by one listing of each kind of work."""
    return [path for path in workspace.locks.glob("*/process-*") if path != process.path]


def _wait_for(
    workspace: Workspace, process: ProcessFolder, concerns: Callable[[Path], bool], seen: Sequence[Path] | None = None
) -> None:
    """Wait until no process works whose folder `concerns`; folders of processes that ended do not count. `seen`: what
    `_others` gave a moment ago."""
    deadline = time.monotonic() + WAIT
    while True:
        look = _others(workspace, process) if seen is None else seen
        others, seen = [path for path in look if concerns(path) and not process.is_dead(path)], None
        if not others:
            return
        if deadline < time.monotonic():
            raise CommunityForensicsError(
                f"another process is at work ({others[0].parent.name}{note_of(others[0])}) in {workspace.root}: wait "
                f"until it has ended, then run the same command again (a process that was killed on another node "
                f"counts as ended after {SILENT_SECONDS / 60:.0f} minutes)"
            )
        time.sleep(_LOOK)


def _process_folder(folder: Path, touch_seconds: float) -> ProcessFolder:
    for attempt in range(_ATTEMPTS):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return ProcessFolder(folder, touch_seconds=touch_seconds)
        except (FileNotFoundError, FileExistsError):
            # Removed by another process at its end: before or after this one saw that it exists.
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def note_of(holder: Path | None) -> str:
    """Whose a process folder is, such as `: process 7 on host, since 2026-11-29T19:38:01`; empty where unknown."""
    with suppress(OSError, UnicodeDecodeError):
        note = (holder / _NOTE).read_text(encoding="utf-8") if holder is not None else ""
        return f": {note}" if note else ""
    return ""
