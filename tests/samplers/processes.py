"""Supervisors in processes of their own, to be killed, and their children."""

import multiprocessing
import multiprocessing.forkserver
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

from engines import claims
from samplers.assignment import units
from samplers.assignment.units import UNIT_SECONDS
from samplers.options import SampleOptions
from samplers.running.supervisor import sample
from tests.samplers.forked_examiner import EXAMINERS
from workspace import process_folder
from workspace.command_line import run
from workspace.layout import Workspace
from workspace.process_folder import SILENT_SECONDS
from workspace.sandbox import kernel

#: linux/sched.h
_NEW_NETWORK = 0x40000000


def start(
    workspace: Workspace,
    options: SampleOptions,
    claim_seconds: float = SILENT_SECONDS,
    unit_seconds: float = UNIT_SECONDS,
) -> BaseProcess:
    """A supervisor, from the fork server that has the imports, so that it starts in a moment; with signals and exit
    codes as `cf-sample` has them. `claim_seconds`: how long its claims live when it is stopped; `unit_seconds`: of the
    nominal device, how long a unit is that it claims."""
    process = multiprocessing.get_context("forkserver").Process(
        target=_sample, args=(workspace.root, options, claim_seconds, unit_seconds)
    )
    process.start()
    return process


def start_command(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    main: Callable[[], object] | None = None,
    output: Path | None = None,
    has_network: bool = True,
) -> BaseProcess:
    """`cf-sample`, or another command's `main`, with these arguments in this environment, from the same fork server.

    `output`: the file that it prints to; `has_network`: without, nothing can be reached, as in `tests/namespaces.py`.
    """
    process = multiprocessing.get_context("forkserver").Process(
        target=_command, args=([*arguments], dict(environment), main, output, has_network)
    )
    process.start()
    return process


def _command(
    arguments: list[str],
    environment: dict[str, str],
    main: Callable[[], object] | None,
    output: Path | None,
    has_network: bool,
) -> None:
    import huggingface_hub.constants

    from samplers import cli

    _leave_the_fork_server()
    if output is not None:
        for descriptor in (1, 2):
            os.dup2(os.open(output, os.O_CREAT | os.O_WRONLY | os.O_APPEND), descriptor)
    if not has_network:
        kernel.call("unshare", _NEW_NETWORK)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    os.environ.clear()
    os.environ.update(environment)
    huggingface_hub.constants.ENDPOINT = environment["HF_ENDPOINT"]
    sys.argv = ["cf-sample", *arguments]
    (main or cli.main)()


def _leave_the_fork_server() -> None:
    """A supervisor needs two things that the fork server does not allow: to reach the Hub, and to start its children
    from the same fork server, instead of from another one that would import everything again."""
    import huggingface_hub.constants

    huggingface_hub.constants.HF_HUB_OFFLINE = False
    multiprocessing.forkserver._forkserver.ensure_running = lambda: None  # type: ignore[attr-defined]
    multiprocessing.forkserver.ensure_running = lambda: None


def _sample(root: Path, options: SampleOptions, claim_seconds: float, unit_seconds: float) -> None:
    _leave_the_fork_server()
    process_folder.SILENT_SECONDS = claims.SILENT_SECONDS = claim_seconds
    claims.TOUCH_SECONDS = claim_seconds / 5
    units.UNIT_SECONDS = unit_seconds
    run(lambda: sample(Workspace(root), options))


def under_fork_server() -> list[int]:
    """The processes of the fork server, the parent of supervisor and child; no process that examines images."""
    server = multiprocessing.forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    return [int(text) for text in children if int(text) not in EXAMINERS]


def wait_for_none() -> None:
    """Wait until a child without a supervisor has ended by itself, which takes a moment."""
    deadline = time.monotonic() + 10
    while under_fork_server() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert under_fork_server() == []
