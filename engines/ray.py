"""The engine of a Ray cluster: each item is a task of Ray, on whatever node has room for it.

Ray decides where a task runs and notices that its process or node is lost; that it is called again, and how often, is
decided here. What a task needs of this process's environment, such as the token, is an argument of the task: it is in
the memory of the two processes and on the connection between them, and not in what Ray records, logs or shows
(`runtime_env`, names of tasks, the dashboard).

Every node has this project installed, in the same version, and the workspace at the same path.
"""

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from engines.engine import TRIES, LostError, answer_of, result_of
from workspace.errors import CommunityForensicsError, UsageError, in_one_line
from workspace.extras import require_extra
from workspace.terminal import say

T = TypeVar("T")
R = TypeVar("R")

#: Seconds to connect to the port of a cluster, and for the cluster to answer there. Ray itself tries for minutes.
_CONNECT_SECONDS, _ANSWER_SECONDS = 5.0, 20.0
#: Seconds between two lines that say that nothing runs.
_WAITING_SECONDS = 60.0
#: Seconds that interrupted tasks have to end in order: a supervisor needs ten to store its last batch.
_SECONDS_AT_END = 20.0
#: Beginnings of the names of variables that a task gets from this process, where its node does not set them itself.
_PASSED_ON = ("HF_", "HUGGING_FACE_", "CF_")
#: Ray sets it for each task, to the number of its CPUs. It decides the last bits of an image that a CPU makes, so a
#: task has the value that this process has, or none.
_THREADS = "OMP_NUM_THREADS"


class RayEngine:
    """The processes of a Ray cluster."""

    def __init__(self, address: str | None = None, processes: int | None = None) -> None:
        """Connect to the cluster at `address`: HOST:PORT, `local` (one that is started on this machine, for this
        process), or None: RAY_ADDRESS, else the one that runs on this machine. `processes`: at most so many at a time.

        Raises `UsageError` within half a minute where Ray is not installed, or no cluster answers.
        """
        require_extra("ray", "--engine ray")
        named = address or os.environ.get("RAY_ADDRESS") or "auto"
        if named not in ("auto", "local"):
            _require_answer(named)
        import ray

        self._ray: Any = ray
        self._processes = processes
        if not ray.is_initialized():
            _connect(ray, named)
        elif address not in (None, "auto", ray.get_runtime_context().gcs_address):
            raise UsageError(
                f"--address {address}: this process is connected to the Ray cluster "
                f"{ray.get_runtime_context().gcs_address}: leave out the address, or call `ray.shutdown()` first"
            )

    def workers(self, gpus: int = 0) -> int:
        """How many calls run at the same time. Raises `UsageError` where no node has a GPU."""
        if self._processes is not None:  # also more than there are now: a cluster may grow
            return self._processes
        most = int(self._ray.cluster_resources().get("GPU" if gpus else "CPU", 0)) // max(gpus, 1)
        if not most:
            raise UsageError(
                "the Ray cluster has no node with a GPU now: choose --device cpu, or say with --processes how many "
                "there will be"
                if gpus
                else "the Ray cluster has no node now"
            )
        return most

    def machines(self) -> int:
        """How many nodes the cluster has now."""
        return sum(1 for node in self._ray.nodes() if node["Alive"])

    def __str__(self) -> str:
        return f"a Ray cluster of {self.machines()} nodes"

    def run(self, function: Callable[[T], R], items: Sequence[T], *, gpus: int = 0) -> Iterator[tuple[T, R]]:
        """Call `function` with each item (`engines.engine.Engine.run`)."""
        ray = self._ray
        call = ray.remote(_call).options(
            num_cpus=1, num_gpus=gpus, max_retries=0, scheduling_strategy="SPREAD", name=_name_of(function)
        )
        environment = passed_on(os.environ)
        waiting = [(item, 1) for item in reversed(items)]
        running: dict[Any, tuple[T, int]] = {}
        most = self._processes or len(items)
        idle_since = time.monotonic()
        try:
            while waiting or running:
                while waiting and len(running) < most:
                    item, tries = waiting.pop()
                    running[call.remote(_version(), str(Path.cwd()), environment, pickle.dumps((function, item)))] = (
                        item,
                        tries,
                    )
                done, _ = ray.wait([*running], timeout=_WAITING_SECONDS)
                if not done:
                    idle_since = self._say_what_is_missing(idle_since, gpus)
                for reference in done:
                    item, tries = running.pop(reference)
                    try:
                        answer = ray.get(reference)
                    except ray.exceptions.RayTaskError as error:  # of what is around the function
                        raise CommunityForensicsError(f"a task of Ray failed: {_last_line(error)}") from error
                    except ray.exceptions.RayError as error:
                        if tries == TRIES:
                            raise LostError(
                                f"a process or node of the Ray cluster was lost, {TRIES} times with the same work "
                                f"({in_one_line(error, 150)}): look at the memory of its nodes, then run the same "
                                "command again"
                            ) from error
                        say(f"a process or node of the Ray cluster was lost: {_name_of(function)} is called again")
                        waiting.append((item, tries + 1))
                    else:
                        yield item, result_of(answer)
        finally:
            self._end(running)

    def _say_what_is_missing(self, since: float, gpus: int) -> float:
        """Say that nothing runs because no node has room; the time since when."""
        now = time.monotonic()
        kind, needed = ("GPU", gpus) if gpus else ("CPU", 1)
        if self._ray.cluster_resources().get(kind, 0) < needed and now - since >= _WAITING_SECONDS:
            say(f"waiting: no node of the Ray cluster has a {kind}", err=True)
            return now
        return since

    def _end(self, running: Mapping[Any, Any]) -> None:
        """Interrupt the tasks that run, and wait a moment until they have ended."""
        if not running:
            return
        for reference in running:
            with suppress(self._ray.exceptions.RayError, ValueError):
                self._ray.cancel(reference, force=False)
        self._ray.wait([*running], num_returns=len(running), timeout=_SECONDS_AT_END)


def passed_on(environment: Mapping[str, str]) -> dict[str, str | None]:
    """The variables that a task gets from this process; None: it has none of that name, even where Ray sets it."""
    found = {name: value for name, value in environment.items() if name.startswith(_PASSED_ON)}
    return {**found, _THREADS: environment.get(_THREADS)}


def _call(version: str, folder: str, environment: Mapping[str, str | None], work: bytes) -> bytes:
    """A task: in a process of Ray, whose environment is set before anything is imported that reads it."""
    if version != _version():
        message = (
            f"node {socket.gethostname()} has version {_version()} of this project, and this command is of version "
            f"{version}: install the same version on all nodes"
        )
        return pickle.dumps((False, UsageError(message)))
    with suppress(OSError):  # relative paths mean the same where a node has this folder
        os.chdir(folder)
    os.environ.pop(_THREADS, None)
    for name, value in environment.items():
        if value is not None:
            os.environ.setdefault(name, value)
    with _interruptible():
        function, item = pickle.loads(work)
        return answer_of(function, item)


@contextmanager
def _interruptible() -> Iterator[None]:
    """A block that `ray.cancel` interrupts at once.

    Ray only notes the interrupt: a lock that the main thread waits for does not notice that. A signal does.
    """
    ended = threading.Event()
    main = threading.main_thread().ident
    before = signal.signal(signal.SIGURG, lambda *_: None)

    def wake() -> None:
        while not ended.wait(1.0):
            assert main is not None
            signal.pthread_kill(main, signal.SIGURG)

    thread = threading.Thread(target=wake, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        signal.signal(signal.SIGURG, before)


def _connect(ray: Any, named: str) -> None:
    """Connect this process to a cluster that answers."""
    options: dict[str, Any] = {"address": named, "log_to_driver": True, "logging_level": "ERROR"}
    if named == "local":
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        options["include_dashboard"] = False
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ray.init(**options)
    except ConnectionError as error:
        raise UsageError(
            "no Ray cluster runs on this machine: name one with --address HOST:6379, start one (`ray start --head`), "
            "or use the GPUs of this machine with --address local"
        ) from error
    except (RuntimeError, ValueError) as error:  # such as another version of Ray, or of Python
        raise UsageError(f"--address {named}: {in_one_line(error, 400, named=False)}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():  # Ray has its own, which end the process with another code
                signal.signal(number, handler)


def _require_answer(address: str) -> None:
    """Raise `UsageError` where no Ray cluster answers at an address: Ray itself tries for minutes, and may end this
    process."""
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdecimal():
        raise UsageError(f"--address {address}: must be HOST:PORT of the head node, such as 10.0.0.5:6379, or local")
    remedy = "name the head node, and the port of `ray start --head` (6379 unless it says otherwise)"
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "it does not answer"
        raise UsageError(f"--address {address}: no connection ({reason}): {remedy}") from error
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--skip-version-check", "--address"]
    try:
        answered = subprocess.run(
            [*command, address], timeout=_ANSWER_SECONDS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        is_cluster = answered.returncode == 0
    except subprocess.TimeoutExpired:
        is_cluster = False
    if not is_cluster:
        raise UsageError(f"--address {address}: what answers there is no Ray cluster: {remedy}")


def _name_of(function: Callable[..., object]) -> str:
    return getattr(function, "__name__", "function").strip("_")


def _last_line(error: BaseException) -> str:
    return ([line for line in str(error).splitlines() if line.strip()] or [type(error).__name__])[-1].strip()[:300]


def _version() -> str:
    try:
        return metadata.version("community-forensics")
    except metadata.PackageNotFoundError:
        return "unknown"
