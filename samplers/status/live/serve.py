"""Serves the live page until Ctrl-C."""

import asyncio
import socket
from contextlib import suppress
from ipaddress import ip_address

import uvicorn

from samplers.status.live.app import Live
from workspace.layout import Workspace
from workspace.listening import address, listen
from workspace.terminal import say

#: Seconds that requests in progress have when the server ends.
_SECONDS_AT_END = 2


def serve(workspace: Workspace, host: str, port: int, every: float) -> None:
    """Serve the live page of a workspace. Raises `UsageError` where the address is not available."""
    sock = listen(host, port)
    say(f"the status of {workspace.root} is at {address(sock)} (metrics for Prometheus: /metrics; stop with Ctrl-C)")
    if not ip_address(sock.getsockname()[0]).is_loopback:
        say("everybody who reaches this address sees names, errors and images: it asks for no password", err=True)
    run(sock, workspace, every, [host])


def run(sock: socket.socket, workspace: Workspace, every: float, names: list[str]) -> None:
    """Serve it on a listening socket until the process is interrupted; `names`: further names of this server."""
    config = uvicorn.Config(
        Live(workspace, every).app(names),
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_SECONDS_AT_END,
    )
    # At a signal uvicorn ends in order and raises the signal again, which is the usual end.
    with suppress(KeyboardInterrupt):
        asyncio.run(uvicorn.Server(config).serve(sockets=[sock]))
