"""Rate limits: the Hub's windows of five minutes, and its `RateLimit` headers.

Requests are counted for each token (without one, for each address), separately for the API and for files (the Hub's
names are "api" and "resolvers"). Every answer has the headers of draft-ietf-httpapi-ratelimit-headers.
"""

import math
import time
from dataclasses import dataclass, field

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localhub import web

#: The Hub's window, in seconds.
WINDOW_SECONDS = 300


@dataclass
class Limits:
    """At most `api` and `resolvers` requests of each kind in `window` seconds."""

    api: int
    resolvers: int
    window: float = WINDOW_SECONDS
    _started: float = field(default=0.0, init=False)
    _counts: dict[tuple[str, str], int] = field(default_factory=dict, init=False)

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """`app`, with the status 429 for clients with too many requests."""

        async def limited(scope: Scope, receive: Receive, send: Send) -> None:
            group = "api" if scope["path"].startswith("/api/") else "resolvers"
            remaining, reset = self._count(group, _client_of(scope))
            quota = self.api if group == "api" else self.resolvers
            headers = {
                "RateLimit": f'"{group}";r={max(remaining, 0)};t={reset}',
                "RateLimit-Policy": f'"fixed window";"{group}";q={quota};w={self.window:g}',
            }
            if remaining < 0:
                error = {"error": "You have reached your rate limit."}
                await web.Json(error, 429, headers)(scope, receive, send)
                return

            async def with_headers(message: Message) -> None:
                if message["type"] == "http.response.start":
                    MutableHeaders(scope=message).update(headers)
                await send(message)

            await app(scope, receive, with_headers)

        return limited

    def _count(self, group: str, client: str) -> tuple[int, int]:
        """Requests left after this one (negative: one too many), and whole seconds until the window ends."""
        passed = time.monotonic() - self._started
        if passed >= self.window:
            self._started, passed = time.monotonic(), 0.0
            self._counts.clear()
        self._counts[group, client] = self._counts.get((group, client), 0) + 1
        quota = self.api if group == "api" else self.resolvers
        return quota - self._counts[group, client], math.ceil(self.window - passed)


def _client_of(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"authorization":
            return str(value.decode("latin-1"))
    client = scope.get("client")
    return client[0] if client else ""
