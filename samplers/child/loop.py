"""The main function of the child: start, then one generator after the other, until the supervisor closes the
connection.

Results go to the supervisor in small messages; images and rows go to the workspace. Of earlier generators it keeps only
components that equal those that the next one would load, so images do not depend on where a run was interrupted.
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
from samplers.child.failures import GeneratorError
from samplers.child.memory import free_memory
from samplers.child.numerics import make_reproducible
from samplers.child.safety import CheckerError, SafetyChecker
from samplers.child.sampling import Sampling
from samplers.messages import Assignment, Fatal, FromChild, Progress, Ready, Result, Start, encode
from workspace.errors import in_one_line
from workspace.layout import Workspace
from workspace.sandbox import isolation, limits


def main(connection: Connection, start: Start) -> None:
    """Serve one supervisor until it closes its end of `connection`."""
    # Ctrl-C reaches every process of the terminal; the supervisor decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _redirect_output(start.stderr)
    workspace = Workspace(start.workspace)
    output = [workspace.images, workspace.samples]
    for folder in output:
        # Where this fails, writing fails later, with a message.
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
    walls = isolation.enter(
        start.home,
        [start.weights, start.checker],
        output,
        start.memory,
        kept=[connection.fileno()],
        mapped=start.mapped,
        without=start.without_walls,
    )
    inbox = _Inbox(connection)

    def send(message: FromChild) -> None:
        connection.send_bytes(encode(message))

    def report(kept: int, tries: int) -> None:
        send(Progress(kept=kept, tries=tries))

    try:
        device = _device(start.device)
        make_reproducible()
        checker = SafetyChecker(start.checker, device)
        send(Ready(device=device, sandbox=list(walls)))
        cache = ComponentCache()
        # The libraries' objects remain until the end: the garbage collector need not visit them each time memory is
        # freed.
        gc.freeze()
        while True:
            assignment = inbox.next()
            clock = Clock()
            try:
                with limits.room_for([assignment.folder, assignment.base_folder, assignment.prior_folder]):
                    sampling = Sampling(assignment, checker, device, clock, report, cache)
                send(sampling.run())
            except GeneratorError as failure:
                traceback.print_exc()
                sys.stderr.flush()
                send(Result(status=failure.status, detail=failure.detail, reason=failure.reason, seconds=clock.seconds))
            free_memory()
    except CheckerError as error:
        send(Fatal(detail=str(error)))
    except WorkspaceError as error:
        send(Fatal(detail=f"the workspace cannot be written ({error}): make room there and run the same command again"))


class _Inbox:
    """Reads assignments in a thread of its own, and ends the process when the supervisor is gone, even if the main
    thread is busy."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: queue.SimpleQueue[Assignment] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> Assignment:
        """The next assignment; waits for it."""
        return self._waiting.get()

    def _read(self) -> None:
        while True:
            try:
                self._waiting.put(self._connection.recv())
            except (EOFError, OSError):
                # Every file on the disk is complete at any moment: there is nothing to clean up.
                os._exit(0)


def _redirect_output(path: Path) -> None:
    """Write what libraries print to the file whose last lines the supervisor reads."""
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
        raise CheckerError(f"--device {wanted} cannot be used: {in_one_line(error)}") from error
    return wanted
