"""The main function of the child: start, then one generator after the other, until the supervisor closes the
connection.

Images, rows and results go to the supervisor, which checks and writes them: nothing of the workspace can be written
here. Of earlier generators it keeps only components that equal those that the next one would load, so images do not
depend on where a run was interrupted.
"""

import gc
import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

from samplers.channel import Channel
from samplers.child.clock import Clock
from samplers.child.component_cache import ComponentCache
from samplers.child.failures import GeneratorError
from samplers.child.memory import free_memory
from samplers.child.numerics import cpu_threads, make_reproducible
from samplers.child.outbox import Outbox
from samplers.child.safety import CheckerError, SafetyChecker
from samplers.child.sampling import Sampling
from samplers.messages import Assignment, Fatal, Ready, Result, Start, Unload
from workspace.device import DeviceError, chosen_device, works
from workspace.sandbox import isolation, limits

#: Seconds in which the batches that are sampled must be encoded and sent when the run is interrupted.
_SECONDS_TO_SEND = 10.0


def main(connection: Connection, start: Start) -> None:
    """Serve one supervisor until it closes its end of `connection`."""
    # Ctrl-C reaches every process of the terminal; the supervisor decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _redirect_output(start.stderr)
    except FileNotFoundError:
        # The supervisor has ended, and its folder with it, while this process was started. Nobody waits for it, and
        # what it printed would be on the user's terminal.
        return
    walls = isolation.enter(
        start.home,
        [start.weights, start.checker],
        memory=start.memory,
        kept=[connection.fileno()],
        mapped=start.mapped,
        without=start.without_walls,
    )
    channel = Channel(connection)
    outbox = Outbox(channel)
    inbox = _Inbox(channel, outbox)
    try:
        device = chosen_device(start.device)
        make_reproducible()
        checker = SafetyChecker(start.checker, device)
        outbox.send(Ready(device=device, sandbox=list(walls)))
        cache = ComponentCache()
        # The libraries' objects remain until the end: the garbage collector need not visit them each time memory is
        # freed.
        gc.freeze()
        sampling: Sampling | None = None
        while True:
            order = inbox.next()
            if sampling is not None and not (isinstance(order, Assignment) and sampling.continues(order)):
                sampling.put_back()
                sampling = None
            if isinstance(order, Assignment):
                sampling = _carry_out(order, sampling, checker, device, outbox, cache)
            free_memory()
    except (CheckerError, DeviceError) as error:
        outbox.send(Fatal(detail=str(error)))


def _carry_out(
    assignment: Assignment,
    sampling: Sampling | None,
    checker: SafetyChecker,
    device: str,
    outbox: Outbox,
    cache: ComponentCache,
) -> Sampling | None:
    """Carry out an assignment and send the result; returns what stays loaded. `sampling`: what is loaded of it."""
    clock = Clock() if sampling is None else sampling.clock
    try:
        with cpu_threads(assignment.cpu_threads):
            if sampling is None:
                with limits.room_for([assignment.folder, assignment.base_folder, assignment.prior_folder]):
                    sampling = Sampling(assignment, checker, device, clock, outbox, cache)
            result = sampling.run()
        if not assignment.stays:
            sampling.put_back()
            sampling = None
        outbox.send(result)
        return sampling
    except GeneratorError as failure:
        traceback.print_exc()
        sys.stderr.flush()
        outbox.send(
            Result(
                status=failure.status,
                detail=failure.detail,
                reason=failure.reason,
                seconds=clock.take(),
                device_lost=not works(device),
            )
        )
        return None


class _Inbox:
    """Reads assignments in a thread of its own, and ends the process when the supervisor is gone or asks for it, even
    if the main thread is busy."""

    def __init__(self, channel: Channel, outbox: Outbox) -> None:
        self._channel, self._outbox = channel, outbox
        self._waiting: queue.SimpleQueue[Assignment | Unload] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> Assignment | Unload:
        """What to do next; waits for it."""
        return self._waiting.get()

    def _read(self) -> None:
        try:
            while (order := pickle.loads(self._channel.receive(sys.maxsize))) is not None:
                self._waiting.put(order)
            # The supervisor was interrupted: what is sampled is not lost.
            self._outbox.drain(_SECONDS_TO_SEND)
        except (EOFError, OSError):
            pass
        os._exit(0)


def _redirect_output(path: Path) -> None:
    """Write what libraries print to the file whose last lines the supervisor reads."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for standard in (1, 2):
        os.dup2(file, standard)
    os.close(file)
