"""The walls of the sandbox stand beside the driver of a GPU, and the driver works behind them."""

import multiprocessing
import os
import socket
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from tests_gpu.child import Child, assignment
from workspace.sandbox import isolation, landlock

#: Bytes of private memory: a limit that the address space of CUDA, which is only reserved, would exceed many times.
LIMIT = 12 << 30


def test_the_driver_works_behind_all_walls(weights: Path, device: str, start: Callable[..., Child]) -> None:
    child = start(memory=LIMIT)
    ready = child.ready()
    assert ready.device == device
    expected = {"audit", "memory", "limits", "seccomp", *(["landlock"] if landlock.version() else [])}
    assert expected <= set(ready.sandbox)
    assert child.sample(assignment(weights / "tiny")).result.status == "done"


def _attempt(connection: Connection, folder: Path, device: str) -> None:
    """In a process of its own: enter the sandbox, compute on the device, then try what is refused."""
    import torch

    isolation.enter(folder / "home", kept=[connection.fileno()], memory=LIMIT)
    found = {"computed": str(torch.ones(3, device=device).sum().item())}
    attempts: dict[str, Callable[[], object]] = {
        "read": lambda: (folder / "token").read_text(),
        "write": lambda: (folder / "written").write_text("x"),
        "connect": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        "local": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
        "fork": os.fork,
        "run": lambda: os.execv("/bin/true", ["true"]),
        "kill": lambda: os.kill(os.getppid(), 0),
        "chmod": lambda: (folder / "home").chmod(0o777),
    }
    for name, action in attempts.items():
        try:
            action()
            found[name] = "allowed"
        except OSError:
            found[name] = "refused"
    found["still"] = str(torch.ones(3, device=device).sum().item())
    connection.send(found)


def test_code_beside_the_driver_gets_no_file_no_network_and_no_other_process(tmp_path: Path, device: str) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "token").write_text("hf_secret")
    # Not forked: this process has used the GPU.
    context = multiprocessing.get_context("spawn")
    ours, its = context.Pipe()
    process = context.Process(target=_attempt, args=(its, tmp_path, device))
    process.start()
    its.close()
    found = ours.recv()
    process.join()
    tried = {name: outcome for name, outcome in found.items() if name not in ("computed", "still")}
    assert (found["computed"], found["still"]) == ("3.0", "3.0")
    without = () if landlock.version() else ("read", "write")
    assert {name: outcome for name, outcome in tried.items() if name not in without} == {
        name: "refused" for name in tried if name not in without
    }
