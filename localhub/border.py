"""What a request must have before anything answers it: the name of this server, and no other site behind it.

A page in a browser on this machine can send requests to a server on loopback. It cannot read the answers of another
origin, unless it points a name of its own at this address (DNS rebinding): then the header `Host` has that name. And it
can send some requests without asking first: then the browser says from where (`Origin`, `Sec-Fetch-Site`). A client of
the Hub has none of these.
"""

import socket
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from localhub import web

#: The status for a request to another server.
MISDIRECTED = 421


class Border:
    """Lets requests pass that are for this server and come from no other site."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """`names`: further names of this server, beside its addresses, localhost and the name of the machine."""
        host = socket.gethostname()
        self._names = {name.lower() for name in ("localhost", host, host.partition(".")[0], *names)}

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """`app`, with an error in the Hub's form for other requests."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            host, origin = headers.get("host", ""), headers.get("origin")
            if not self._is_own(host):
                message = f"this Hub has no name {host!r}; start it with --name to give it another one"
                await _refuse(message, MISDIRECTED)(scope, receive, send)
            elif headers.get("sec-fetch-site", "none") not in ("none", "same-origin") or (
                origin is not None and urlsplit(origin).netloc.lower() != host.lower()
            ):
                await _refuse("this Hub answers no pages of other sites", 403)(scope, receive, send)
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


def _refuse(message: str, status: int) -> web.Json:
    words = message.encode("ascii", "backslashreplace").decode()
    return web.Json({"error": words}, status, {"X-Error-Message": words})
