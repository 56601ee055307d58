"""The child's life: start, then one generator after the other, until the supervisor hangs up.

What it learns goes to the supervisor in small messages; what it makes goes to the workspace. Of former generators it
keeps nothing but components that are what the next one would load, so where a run was interrupted leaves no trace in
what is made.
"""

import gc
import os
import queue
import signal
import sys
import threading
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from samplers.child.async_writer import WorkspaceError
from samplers.child.clock import Clock
from samplers.child.component_cache import ComponentCache
from samplers.child.failures import GeneratorError, in_words
from samplers.child.memory import free_memory
from samplers.child.safety import CheckerError, SafetyChecker
from samplers.child.sampling import Sampling
from samplers.child.settings import fix_arithmetic
from samplers.child.walls import limits, sandbox
from samplers.messages import Assignment, Fatal, FromChild, Progress, Ready, Result, Start, encode
from workspace.layout import Workspace


def main(connection: Connection, start: Start) -> None:
    """Serve one supervisor until it closes its end of `connection`."""
    # Ctrl-C reaches the whole terminal; how this process ends is the supervisor's to decide.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _redirect_output(start.stderr)
    workspace = Workspace(start.workspace)
    output = [workspace.images, workspace.samples]
    for folder in output:
        # Where it cannot be, writing will say so.
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
    walls = list(sandbox.enter(start.home, [start.weights, start.checker], output, start.memory))
    inbox = _Inbox(connection)

    def tell(message: FromChild) -> None:
        connection.send_bytes(encode(message))

    def moved(kept: int, tries: int) -> None:
        tell(Progress(kept=kept, tries=tries))

    try:
        device = _device(start.device)
        fix_arithmetic()
        checker = SafetyChecker(start.checker, device)
        tell(Ready(device=device, walls=walls))
        cache = ComponentCache()
        # The libraries stay for good: nothing of them is to be looked through each time memory is freed.
        gc.freeze()
        while True:
            assignment = inbox.next()
            clock = Clock()
            try:
                with limits.room_for([assignment.folder, assignment.base_folder]):
                    sampling = Sampling(assignment, checker, device, clock, moved, cache)
                tell(sampling.run())
            except GeneratorError as failure:
                traceback.print_exc()
                sys.stderr.flush()
                tell(Result(status=failure.status, detail=failure.detail, reason=failure.reason, seconds=clock.seconds))
            free_memory()
    except CheckerError as error:
        tell(Fatal(detail=str(error)))
    except WorkspaceError as error:
        tell(Fatal(detail=f"the workspace cannot be written: {error}"))


class _Inbox:
    """Reads assignments in a thread of its own, and ends the process when the supervisor is gone, however busy
    the main thread is."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: queue.SimpleQueue[Assignment] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> Assignment:
        """The next assignment, when it comes."""
        return self._waiting.get()

    def _read(self) -> None:
        while True:
            try:
                self._waiting.put(self._connection.recv())
            except (EOFError, OSError):
                # Everything on the disk is whole at any moment: there is nothing to unwind.
                os._exit(0)


def _redirect_output(path: Path) -> None:
    """What libraries print goes into the file from which the supervisor takes the last lines."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for standard in (1, 2):
        os.dup2(file, standard)
    os.close(file)


def _device(wanted: str) -> str:
    """The device to sample on; `auto` is the first GPU where there is one."""
    import torch

    if wanted == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=wanted)
    except Exception as error:
        raise CheckerError(f"--device {wanted} cannot be used: {in_words(error)}") from error
    return wanted
