"""Decoders: processes that decode images ahead of the captioner, in order.

    jobs -> [thread + process] x workers -> outcomes in the order of the jobs -> batches

Images are strangers' files, and the C code that decodes them may take its process with it. Here that is a process
that knows nothing, holds no token, may fill `MEMORY` bytes and answers with JSON and pixels, which can be wrong but run
nothing. It is replaced, and the image tried once more, so that a process that was killed by chance changes no row; an
image that ends its process twice is broken.

Only so many jobs are taken as can be worked on or wait (`AHEAD` for each process), so memory stays as it is however
many images there are. A process ends when the other end of its socket closes, that is with this process at the
latest; it is in a session of its own, so that a Ctrl-C is this process's alone to answer.
"""

import dataclasses
import json
import os
import resource
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType

import numpy as np

from captioning.decoding import Decoded, Job, Outcome, Refusal, Ticket, decode
from captioning.images import ImageFacts
from workspace.environment import without_secrets
from workspace.errors import CommunityForensicsError

AHEAD = 6
"""Images for each process that are being decoded or wait decoded."""
MEMORY = 4 << 30
"""Bytes that decoding one image may take: the largest picture that is let in, some times over."""
MAX_WORKERS = 16
TRIES = 2


class WorkerLostError(Exception):
    """A process ended while it decoded; the message says how."""


def default_workers() -> int:
    """One process for each core this process may use, `MAX_WORKERS` at most."""
    return min(len(os.sched_getaffinity(0)), MAX_WORKERS)


class Decoders:
    """Decoding processes, started when they are first needed; a context manager that ends them."""

    def __init__(self, workers: int) -> None:
        self._workers = [_Worker() for _ in range(workers)]
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="decoding")

    def __enter__(self) -> "Decoders":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for worker in self._workers:
            worker.close()
        self._threads.shutdown(cancel_futures=True)

    def decode(self, jobs: Iterable[tuple[Ticket, Job | Refusal]]) -> Iterator[tuple[Ticket, Outcome]]:
        """As `captioning.decoding.Decode`. Jobs are taken as there is room for them, in the caller's thread.

        Raises `CommunityForensicsError` when no process can be started.
        """
        waiting: deque[tuple[Ticket, Refusal | Future[Outcome]]] = deque()

        def next_one() -> tuple[Ticket, Outcome]:
            ticket, result = waiting.popleft()
            return ticket, (result if isinstance(result, Refusal) else result.result())

        for ticket, job in jobs:
            waiting.append((ticket, job if isinstance(job, Refusal) else self._threads.submit(self._decode, job)))
            if len(waiting) >= AHEAD * len(self._workers):
                yield next_one()
        while waiting:
            yield next_one()

    def _decode(self, job: Job) -> Outcome:
        worker = self._idle.get()
        try:
            for _ in range(TRIES):
                try:
                    return worker.decode(job)
                except WorkerLostError as error:
                    how = str(error)
            return Refusal("broken", f"the process that decodes it {how}")
        finally:
            self._idle.put(worker)


class _Worker:
    """One process; used by one thread at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._closed = False

    def decode(self, job: Job) -> Outcome:
        """What became of the job. Raises `WorkerLostError`, and `CommunityForensicsError` when there is no process."""
        connection = self._connection or self._start()
        try:
            connection.send(job)
            return _receive(connection)
        except (EOFError, OSError) as error:
            raise WorkerLostError(self._end()) from error

    def close(self) -> None:
        """End the process, whatever it is doing; from any thread."""
        self._closed = True
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _start(self) -> Connection:
        ours, its = Pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "captioning.decoders", str(its.fileno())],
            pass_fds=[its.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            # It finds what this process finds, and nothing that happens to lie in the working directory.
            env={**without_secrets(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        # The process must hold the only other end, or its death would not be noticed.
        its.close()
        self._connection = ours
        if self._closed:  # while it was being started
            self._process.kill()
        try:
            ours.recv_bytes()
        except (EOFError, OSError) as error:
            raise CommunityForensicsError(
                f"the process that decodes images does not start: it {self._end()}"
            ) from error
        return ours

    def _end(self) -> str:
        """Forget a process that hung up; how it ended."""
        assert self._process is not None
        assert self._connection is not None
        self._connection.close()
        self._connection = None
        code = self._process.wait()
        return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


def _send(connection: Connection, outcome: Outcome) -> None:
    """Answer with JSON, and the pixels behind it where there are any."""
    if isinstance(outcome, Refusal):
        connection.send_bytes(json.dumps({"refusal": dataclasses.asdict(outcome)}).encode())
        return
    shape = None if outcome.view is None else outcome.view.shape
    connection.send_bytes(json.dumps({"facts": dataclasses.asdict(outcome.facts), "shape": shape}).encode())
    if outcome.view is not None:
        connection.send_bytes(outcome.view.tobytes())


def _receive(connection: Connection) -> Outcome:
    said = json.loads(connection.recv_bytes())
    if "refusal" in said:
        return Refusal(**said["refusal"])
    view = None
    if said["shape"] is not None:
        view = np.frombuffer(connection.recv_bytes(), dtype=np.uint8).reshape(said["shape"])
    return Decoded(ImageFacts(**said["facts"]), view)


def serve(connection: Connection) -> None:
    """Decode what comes until nobody is there any more: the life of a process."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, resource.RLIM_INFINITY))
    try:
        connection.send_bytes(b"ready")
        while True:
            _send(connection, decode(connection.recv()))
    except (EOFError, ConnectionError):
        return


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
