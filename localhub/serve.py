"""The server: a socket, a log of requests, and the application on uvicorn."""

import asyncio
import os
import secrets
import socket
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from localhub.access import AccessControl, Token
from localhub.app import Hub, application
from localhub.control import Control
from localhub.faults import Faults
from localhub.limits import Limits
from localhub.refusals import refuse
from localhub.request_log import RequestLog
from localhub.store import Store
from workspace.atomic import write_bytes
from workspace.border import Border
from workspace.listening import address

if TYPE_CHECKING:
    from localhub.mirror.upstream import Upstream

#: How long an idle connection stays open, in seconds. Clients have connection pools, and a client without retries fails
#: if it uses a connection that the server has just closed.
KEEP_ALIVE_SECONDS = 300
#: How long the server waits for running requests when it is stopped, in seconds.
SHUTDOWN_SECONDS = 2


class _Connection(H11Protocol):
    """HTTP over one connection that the application can access, so that a fault can close or reset it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app = partial(_with_transport, self.app, transport)


async def _with_transport(
    app: ASGIApp, transport: asyncio.Transport, scope: Scope, receive: Receive, send: Send
) -> None:
    scope["transport"] = transport
    await app(scope, receive, send)


def run(
    sock: socket.socket,
    store: Store,
    *,
    tokens: Sequence[Token] = (),
    names: Sequence[str] = (),
    control: Control = Control(),
    limits: Limits | None = None,
    request_log: Path | None = None,
    ready_file: Path | None = None,
    while_stdin_open: bool = False,
    mirrored: "Upstream | None" = None,
    max_disk: int | None = None,
) -> None:
    """Serve `store` on a listening socket until the process is stopped (SIGTERM, Ctrl-C).

    `names`: further names of this server (`workspace/border.py`); `control`: who may set faults and see requests.
    `mirrored`: the Hub to mirror, within `max_disk` bytes of contents; `store` is then filled from it.
    The address is written to `ready_file` when connections are accepted. With `while_stdin_open` the server also stops
    when its standard input is closed, which happens when the process that started it ends, even if it is killed.
    """
    loopback = ip_address(sock.getsockname()[0]).is_loopback
    if mirrored is None:
        hub = Hub(store, AccessControl(tokens, secret=secrets.token_bytes(32), open_writes=loopback))
        app = application(hub)
    else:
        # Imported here: the client of the Hub, which a Hub does not need.
        from localhub.mirror.app import mirror

        hub, app = mirror(store, mirrored, tokens, max_disk)
    # Twenty thousand repositories take seconds to read the first time: now, not during the first request.
    hub.listing.count("model")
    store.blobs.remove_abandoned()
    if limits is not None:
        app = limits.wrap(app)
    with closing(RequestLog(request_log, control)) as log:
        app = Border(refuse, names).wrap(log.wrap(Faults(control).wrap(app)))
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=_Connection,
                ws="none",
                loop="asyncio",
                lifespan="off",
                interface="asgi3",
                access_log=False,
                log_level="warning",
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            )
        )
        if ready_file is not None:
            write_bytes(ready_file, address(sock).encode())
        # At a signal uvicorn shuts down and then raises the signal again; for a server this is the normal end.
        with suppress(KeyboardInterrupt):
            asyncio.run(_until_stopped(server, sock, while_stdin_open=while_stdin_open))
        if mirrored is not None:
            mirrored.stopping.set()


async def _until_stopped(server: uvicorn.Server, sock: socket.socket, *, while_stdin_open: bool) -> None:
    if while_stdin_open:
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _stop_at_end_of_input, server)
    await server.serve(sockets=[sock])


def _stop_at_end_of_input(server: uvicorn.Server) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        server.should_exit = True
