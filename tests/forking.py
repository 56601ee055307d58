"""Processes that are forked from one which has imported the code, so that a start takes no second."""

import gc
import multiprocessing
import multiprocessing.process
import os
import socket
from collections.abc import Callable, Mapping
from multiprocessing import connection, forkserver, reduction, resource_tracker
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Self
from unittest import mock


class Server:
    """A server with its own imports. That of `multiprocessing`, one for a whole run of tests, is left to the samplers:
    where it has other imports, each of their processes imports diffusers again."""

    def __init__(self, *modules: str, environment: Mapping[str, str] = os.environ) -> None:
        self._server, self._environment = forkserver.ForkServer(), environment
        self._server.set_forkserver_preload(list(modules))

    @classmethod
    def at(cls, address: str) -> Self:
        """A server that another process has warmed up."""
        server = cls()
        server._server._forkserver_address = address  # type: ignore[attr-defined]
        # What each of its processes gets: for a server of its own, which none of these asks.
        server._server._forkserver_alive_fd = os.open(os.devnull, os.O_RDONLY)  # type: ignore[attr-defined]
        return server

    @property
    def address(self) -> str:
        """Where other processes find it."""
        return str(self._server._forkserver_address)  # type: ignore[attr-defined]

    def warm_up(self) -> None:
        """Begin with the imports; nobody waits for them."""
        with mock.patch.dict(os.environ, dict(self._environment), clear=True):
            self._server.ensure_running()

    def lend(self) -> None:
        """Let the fork server of `multiprocessing` be a fork of this one when it is first needed: in a process that was
        forked from the one which has warmed this up."""
        # It would look after the server as its child.
        self._server.ensure_running = lambda: None  # type: ignore[method-assign]
        own = forkserver._forkserver  # type: ignore[attr-defined]
        own.ensure_running = forkserver.ensure_running = lambda: self._fork_server(own)

    def _fork_server(self, own: Any) -> None:
        with own._lock:
            if own._forkserver_pid is not None and Path(f"/proc/{own._forkserver_pid}").exists():
                return
            if own._forkserver_alive_fd is not None:
                os.close(own._forkserver_alive_fd)
            resource_tracker.ensure_running()
            with socket.socket(socket.AF_UNIX) as listener:
                own._forkserver_address = connection.arbitrary_address("AF_UNIX")  # type: ignore[attr-defined]
                listener.bind(own._forkserver_address)
                listener.listen()
                alive, own._forkserver_alive_fd = os.pipe()
                descriptors = [_Passed(number) for number in (listener.fileno(), alive, 1, 2)]
                self._lent = self.start(_serve, *descriptors, dict(os.environ))
                os.close(alive)
            own._forkserver_pid = self._lent.pid
            # Nobody's child: a fork server is none.
            multiprocessing.process._children.discard(self._lent)  # type: ignore[attr-defined]

    def start(self, work: Callable[..., object], *arguments: Any) -> ForkServerProcess:
        """A process that calls `work`, a function of a module that was preloaded."""
        process = multiprocessing.get_context("forkserver").Process(target=_work, args=(work, arguments))
        with (
            mock.patch.dict(os.environ, dict(self._environment), clear=True),
            mock.patch.object(forkserver, "connect_to_new_process", self._server.connect_to_new_process),
        ):
            process.start()
        return process


class _Passed:
    """A descriptor for the process that is started."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return _received, (reduction.DupFd(self._descriptor),)  # type: ignore[attr-defined]


def _received(passed: Any) -> int:
    return passed.detach()  # type: ignore[no-any-return]


def _serve(listener: int, alive: int, out: int, err: int, environment: dict[str, str]) -> None:
    # What its children print is then seen with the test that started it.
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.environ.clear()
    os.environ.update(environment)
    forkserver.main(listener, alive, [])


def _work(work: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    # The garbage collector need not visit what the server has imported, which takes half a second each time.
    gc.freeze()
    work(*arguments)
