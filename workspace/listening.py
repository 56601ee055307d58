"""A socket that listens, and its address as a URL."""

import socket

from workspace.errors import UsageError


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket (port 0: any free port); raises `UsageError` if the address is not available."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol given, asyncio disables Nagle's algorithm, which costs 40 ms a request.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(2048)
    except (OSError, OverflowError) as error:
        sock.close()
        raise UsageError(f"cannot listen on {host} port {port}: {error}; choose another --host or --port") from None
    return sock


def address(sock: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
