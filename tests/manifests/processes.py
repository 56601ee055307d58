"""Processes that are killed: forked from one that has imported the code, so that a second start takes no second."""

import os
import sys
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from typing import Any

from tests.forking import Server

SERVER = Server(
    "manifests.publishing.publish",
    "manifests.restoring.restore",
    __name__,
    # What these import when they need it.
    "huggingface_hub.hf_api",
    "jinja2",
    "pandas",
    "pyarrow.pandas_compat",
)


def start(work: Callable[..., object], *arguments: Any) -> ForkServerProcess:
    """A process that calls `work`, a function of a module that was preloaded, and prints nothing."""
    return SERVER.start(_work, work, arguments)


def finish(work: Callable[..., object], *arguments: Any) -> None:
    """The same, to its end; fails when it failed."""
    process = start(work, *arguments)
    process.join()
    assert process.exitcode == 0


def _work(work: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    work(*arguments)
