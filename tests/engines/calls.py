"""What the tests of engines have called in other processes."""

import os
import signal
import threading
import time
from pathlib import Path

from workspace.errors import UsageError


def square(number: int) -> int:
    """A result."""
    return number * number


def process_and_devices(_: int) -> tuple[int, str | None, str | None]:
    """Which process this is, its GPUs, and its number of threads."""
    return os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("OMP_NUM_THREADS")


def token(_: int) -> str | None:
    """The token that this process has."""
    return os.environ.get("HF_TOKEN")


def die(calls_left: tuple[Path, int]) -> int:
    """Lose the process that this is called in, the first so many times; then the number of calls."""
    folder, times = calls_left
    calls = len(list(folder.iterdir()))
    (folder / str(calls)).touch()
    if calls < times:
        os.kill(os.getpid(), signal.SIGKILL)
    return calls + 1


def killed(name: str) -> str:
    """Lose the process that this is called in, but for one name."""
    if name != "stays":
        os.kill(os.getpid(), signal.SIGKILL)
    return name


def wait_on_a_node(item: tuple[Path, int]) -> int:
    """Wait until all may end, or the node of this process is killed; then the number of calls there were."""
    folder, number = item
    (folder / f"call-{number}-{os.getppid()}-{os.getpid()}").touch()
    while not (folder / "end").exists():
        time.sleep(0.02)
    return len([*folder.glob("call-*")])


def nodes_with_a_call(folder: Path) -> set[str]:
    """Nodes where `wait_on_a_node` was called: each is the parent of its processes."""
    return {path.name.split("-")[2] for path in folder.glob("call-*")}


class StrangeError(Exception):
    """One that can be pickled and not be read again, as those of some libraries."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


def fail(how: str) -> None:
    """Raise."""
    if how == "usage":
        raise UsageError("--images must be at least 1")
    if how == "strange":
        raise StrangeError("this", "that")
    raise ZeroDivisionError(how)


def wait_for_ever(folder: Path | None) -> None:
    """Wait for a lock that nobody opens, until this is interrupted; then end in order. Without a folder, end at
    once."""
    if folder is None:
        return
    try:
        (folder / "started").touch()
        threading.Event().wait()
    except KeyboardInterrupt:
        (folder / "ended in order").touch()
        raise
