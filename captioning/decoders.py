"""Decoders: processes that decode images ahead of the captioner, and return them in order.

    jobs -> [thread + process] x workers -> results in the order of the jobs -> batches

Image files are untrusted, and a defect in the C code that decodes them may end the process or run code in it. So they
are decoded in processes of their own, which have no token, may use `MEMORY` bytes, and answer with JSON and pixels:
data that can be wrong but cannot run. When such a process ends, it is replaced and the image is tried once more, so
that a process killed by accident changes no row; an image with which two processes ended is broken.

A job is taken only when there is room for it (`AHEAD` for each process), so memory does not grow with the number of
images. A process ends when the other end of its socket closes, at the latest with this process. It is in a session of
its own, so that only this process receives a Ctrl-C.
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

from captioning.decoding import Decoded, DecodeResult, Job, Key, Unusable, decode
from captioning.images import ImageFacts
from workspace.environment import without_secrets
from workspace.errors import CommunityForensicsError

AHEAD = 6
"""Images for each process that are being decoded, or are decoded and wait."""
MEMORY = 4 << 30
"""Bytes that decoding one image may take: several times the largest image that is accepted."""
MAX_WORKERS = 16
ATTEMPTS = 2
"""Decoding processes in which an image is tried before it counts as broken."""


class WorkerLostError(Exception):
    """A process ended while it decoded an image; the message says how."""


def default_workers() -> int:
    """One process for each core that this process may use, `MAX_WORKERS` at most."""
    return min(len(os.sched_getaffinity(0)), MAX_WORKERS)


class Decoders:
    """Decoding processes, started when first needed; a context manager that ends them."""

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

    def decode(self, jobs: Iterable[tuple[Key, Job | Unusable]]) -> Iterator[tuple[Key, DecodeResult]]:
        """As `captioning.decoding.DecodeAll`. Jobs are taken when there is room for them, in the caller's thread.

        Raises `CommunityForensicsError` when no process can be started.
        """
        pending: deque[tuple[Key, Unusable | Future[DecodeResult]]] = deque()

        def next_result() -> tuple[Key, DecodeResult]:
            key, result = pending.popleft()
            return key, (result if isinstance(result, Unusable) else result.result())

        for key, job in jobs:
            pending.append((key, job if isinstance(job, Unusable) else self._threads.submit(self._decode, job)))
            if len(pending) >= AHEAD * len(self._workers):
                yield next_result()
        while pending:
            yield next_result()

    def _decode(self, job: Job) -> DecodeResult:
        worker = self._idle.get()
        try:
            for _ in range(ATTEMPTS):
                try:
                    return worker.decode(job)
                except WorkerLostError as error:
                    how = str(error)
            return Unusable("broken", f"the process that decodes it {how}")
        finally:
            self._idle.put(worker)


class _Worker:
    """One process; used by one thread at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._closed = False

    def decode(self, job: Job) -> DecodeResult:
        """The result of a job. Raises `WorkerLostError`, and `CommunityForensicsError` when no process starts."""
        connection = self._connection or self._start()
        try:
            connection.send(job)
            return _receive(connection)
        except (EOFError, OSError) as error:
            raise WorkerLostError(self._end()) from error

    def close(self) -> None:
        """Kill the process; may be called from any thread."""
        self._closed = True
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _start(self) -> Connection:
        connection, remote = Pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "captioning.decoders", str(remote.fileno())],
            pass_fds=[remote.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            # It imports from where this process does, and not from the working directory (-P).
            env={**without_secrets(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        # Only the process may hold the other end; otherwise its end would not be noticed.
        remote.close()
        self._connection = connection
        if self._closed:  # while it was being started
            self._process.kill()
        try:
            connection.recv_bytes()
        except (EOFError, OSError) as error:
            raise CommunityForensicsError(f"a process that decodes images did not start: it {self._end()}") from error
        return connection

    def _end(self) -> str:
        """Clean up after a process that closed its connection; returns how it ended."""
        assert self._process is not None
        assert self._connection is not None
        self._connection.close()
        self._connection = None
        code = self._process.wait()
        return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"


def _send(connection: Connection, result: DecodeResult) -> None:
    """Send a result as JSON, followed by the pixels if there are any."""
    if isinstance(result, Unusable):
        connection.send_bytes(json.dumps({"unusable": dataclasses.asdict(result)}).encode())
        return
    shape = None if result.pixels is None else result.pixels.shape
    connection.send_bytes(json.dumps({"facts": dataclasses.asdict(result.facts), "shape": shape}).encode())
    if result.pixels is not None:
        connection.send_bytes(result.pixels.tobytes())


def _receive(connection: Connection) -> DecodeResult:
    answer = json.loads(connection.recv_bytes())
    if "unusable" in answer:
        return Unusable(**answer["unusable"])
    pixels = None
    if answer["shape"] is not None:
        pixels = np.frombuffer(connection.recv_bytes(), dtype=np.uint8).reshape(answer["shape"])
    return Decoded(ImageFacts(**answer["facts"]), pixels)


def serve(connection: Connection) -> None:
    """Decode jobs until the connection closes: what a decoding process runs."""
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
