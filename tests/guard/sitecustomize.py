"""Refuses connections to other machines in every Python process of the tests; saves them a few things that take time.

The tests put this folder on PYTHONPATH, so Python imports this module at the start of every process and of its
children. An attempt is refused and logged in the file that CF_TESTS_NETWORK_LOG names, so that it fails the run even if
the exception was caught (tests/conftest.py).
"""

import ipaddress
import os
import sys
from pathlib import Path
from typing import Any


def _is_loopback(host: Any) -> bool:
    text = host.decode() if isinstance(host, bytes) else host
    if text in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _refuse_the_outside(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        # The address of a Unix socket is text; it is on this machine.
        allowed = not isinstance(address, tuple) or _is_loopback(address[0])
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        address = arguments[0]
        allowed = _is_loopback(address)
    else:
        return
    if not allowed:
        log = os.environ.get("CF_TESTS_NETWORK_LOG")
        if log:
            with Path(log).open("a") as file:
                test = os.environ.get("PYTEST_CURRENT_TEST", "a test")
                file.write(f"{event} {address} by {sys.argv[:2]} in {test}\n")
        raise PermissionError(f"tests may connect to loopback only: {event} {address}")


sys.addaudithook(_refuse_the_outside)


def _not_waited_for(descriptor: int) -> None:
    """Waits for no disk: only after a power cut could a test see the difference. An error of the number is one."""
    os.fstat(descriptor)


if not os.environ.get("CF_SOAK"):
    os.fsync = _not_waited_for  # type: ignore[assignment]

if os.environ.get("CF_TESTS_LENT") and "CF_TESTS_FORK_SERVER" in os.environ:
    # Its sampling processes need not import again what a process of the tests has imported (`tests/forking.py`).
    sys.path.append(str(Path(__file__).parents[2]))
    from tests.forking import Server

    Server.at(os.environ["CF_TESTS_FORK_SERVER"]).lend()
