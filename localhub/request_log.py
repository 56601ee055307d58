"""The log of requests: what clients really asked for, to be read by tests and by people.

Kept in memory for `GET /__requests__` (only for this machine; `DELETE` empties it) and, if a file is named, appended
there as one JSON object a line.
"""

import json
import time
from collections import deque
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localhub import web

PATH = "/__requests__"
#: Requests remembered; older ones are forgotten.
MEMORY = 100_000


def is_local(scope: Scope) -> bool:
    """Whether a request comes from this machine: what controls the server is for nobody else."""
    client = scope.get("client")
    return client is not None and ip_address(client[0]).is_loopback


class RequestLog:
    """Notes each request: method, path (as sent), query, range, user_agent, status, bytes sent, seconds.

    `status` is null when the connection ended before any answer.
    """

    def __init__(self, file: Path | None = None):
        self._rows: deque[dict[str, Any]] = deque(maxlen=MEMORY)
        self._file = file.open("a", buffering=1, encoding="ascii") if file else None

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()

    def around(self, app: ASGIApp) -> ASGIApp:
        """`app`, with every request noted, but those for `/__` addresses."""

        async def noted(scope: Scope, receive: Receive, send: Send) -> None:
            path = scope.get("raw_path", b"").decode("ascii", "replace")
            if scope["type"] != "http":
                await app(scope, receive, send)
            elif path == PATH and is_local(scope):
                await self._answer(Request(scope))(scope, receive, send)
            elif path.startswith("/__"):
                await app(scope, receive, send)
            else:
                await self._note(app, path, scope, receive, send)

        return noted

    async def _note(self, app: ASGIApp, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        row: dict[str, Any] = {
            "method": scope["method"],
            "path": path,
            "query": scope["query_string"].decode("ascii", "replace"),
            "range": headers.get(b"range", b"").decode("latin-1") or None,
            "user_agent": headers.get(b"user-agent", b"").decode("latin-1"),
            "status": None,
            "bytes": 0,
        }
        started = time.monotonic()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                row["status"] = message["status"]
            else:
                row["bytes"] += len(message.get("body", b""))
            await send(message)

        try:
            await app(scope, receive, counted)
        finally:
            row["seconds"] = round(time.monotonic() - started, 6)
            self._rows.append(row)
            if self._file:
                self._file.write(json.dumps(row) + "\n")

    def _answer(self, request: Request) -> web.Json:
        rows = list(self._rows)
        if request.method == "DELETE":
            self._rows.clear()
        return web.Json(rows)
