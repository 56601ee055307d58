"""The process that examines images, forked from the samplers' fork server: a new interpreter takes four seconds to
import what the safety checker needs. tests/samplers/foreign starts a new one, as users do.
"""

import importlib
import multiprocessing
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

from tests.forking import Forked
from workspace.environment import without_secrets
from workspace.limited import process, serving

_PROGRAM = "samplers.foreign.examining_process"
_ANEW = process._started
#: Their numbers: they may live as long as the tests do.
EXAMINERS: set[int] = set()


@contextmanager
def forked_examiner() -> Iterator[None]:
    """A block in which this process forks it."""
    with mock.patch.object(process, "_started", _started):
        yield


def _started(program: Any, link: socket.socket, settings: str, environment: Mapping[str, str]) -> Any:
    if program != _PROGRAM:
        return _ANEW(program, link, settings, environment)
    arguments = (link, settings, without_secrets() | environment)
    started = multiprocessing.get_context("forkserver").Process(target=_serve, args=arguments)
    started.start()
    EXAMINERS.add(started.pid or 0)
    return Forked(started)


def _serve(link: socket.socket, settings: str, environment: dict[str, str]) -> None:
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [_PROGRAM, str(link.detach()), settings]
    serving.serve(importlib.import_module(_PROGRAM).handler)


def import_with_forked_examiner() -> None:
    """`cf-import`."""
    from samplers.importing.cli import main

    with forked_examiner():
        main()
