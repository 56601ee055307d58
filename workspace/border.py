"""What a request must have before anything answers it: the name of this server, and no other site behind it.

A page in a browser on this machine can send requests to a server on loopback. It cannot read the answers of another
origin, unless it points a name of its own at this address (DNS rebinding): then the header `Host` has that name. And it
can send some requests without asking first: then the browser says from where (`Origin`, `Sec-Fetch-Site`). A client
that is no browser has none of these.
"""

import socket
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

#: The statuses for a request to another server, and for one of another site.
MISDIRECTED, FORBIDDEN = 421, 403


class Border:
    """Lets requests pass that are for this server and come from no other site."""

    def __init__(self, refuse: Callable[[int, str], "ASGIApp"], names: Iterable[str] = ()) -> None:
        """`refuse`: the answer to other requests, by its status and the name under which they came; `names`: further
        names of this server, beside its addresses, localhost and the name of the machine."""
        host = socket.gethostname()
        self._refuse = refuse
        self._names = {name.lower() for name in ("localhost", host, host.partition(".")[0], *names)}

    def wrap(self, app: "ASGIApp") -> "ASGIApp":
        """`app`, for requests that may pass."""

        async def guarded(scope: "Scope", receive: "Receive", send: "Send") -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            host, origin = headers.get("host", ""), headers.get("origin")
            if not self._is_own(host):
                await self._refuse(MISDIRECTED, host)(scope, receive, send)
            elif headers.get("sec-fetch-site", "none") not in ("none", "same-origin") or (
                origin is not None and urlsplit(origin).netloc.lower() != host.lower()
            ):
                await self._refuse(FORBIDDEN, host)(scope, receive, send)
            else:
                await app(scope, receive, send)

        return guarded

    def _is_own(self, host: str) -> bool:
        """Whether a header `Host` names this server. An address cannot be pointed elsewhere, so any is its own."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name.lower() in self._names:
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True
