"""Supervisors in processes of their own, to be killed, and what is under them."""

import multiprocessing
import multiprocessing.forkserver
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

from samplers.pending import Run, Wish
from samplers.supervisor import sample
from workspace.layout import Workspace


def start(workspace: Workspace, run: Run, wish: Wish) -> BaseProcess:
    """A supervisor, from the fork server that has the imports, so that it starts in a moment."""
    process = multiprocessing.get_context("forkserver").Process(target=_sample, args=(workspace.root, run, wish))
    process.start()
    return process


def _sample(root: Path, run: Run, wish: Wish) -> None:
    """Two things that the fork server is made not to do, a supervisor needs: reach the Hub, and serve more than its own
    parent (its children come from it as well, instead of from another that would import everything again)."""
    import huggingface_hub.constants

    huggingface_hub.constants.HF_HUB_OFFLINE = False
    multiprocessing.forkserver._forkserver.ensure_running = lambda: None  # type: ignore[attr-defined]
    multiprocessing.forkserver.ensure_running = lambda: None
    sample(Workspace(root), wish, run)


def under_fork_server() -> list[int]:
    """Processes that the fork server, parent of supervisor and child alike, has under it."""
    server = multiprocessing.forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    return [int(text) for text in Path(f"/proc/{server}/task/{server}/children").read_text().split()]


def wait_for_none() -> None:
    """A child without a supervisor has nobody left to work for: it ends by itself, and soon."""
    deadline = time.monotonic() + 10
    while under_fork_server() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert under_fork_server() == []
