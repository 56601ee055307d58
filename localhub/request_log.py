"""The log of requests, for tests and for people.

`GET /__requests__` returns the requests in memory (`localhub/control.py` says to whom); `DELETE` clears them. They are
also appended to a file, if one is given, as one JSON object a line.
"""

import json
import time
from collections import deque
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localhub import web
from localhub.control import Control

PATH = "/__requests__"
#: Number of requests in memory; older ones are dropped.
MEMORY = 100_000


class RequestLog:
    """Logs each request: method, path (as sent), query, range, user_agent, status, received and bytes (of the
    bodies of request and answer), seconds.

    `status` is null if the connection was closed before an answer.
    """

    def __init__(self, file: Path | None = None, control: Control = Control()):
        self._control = control
        self._rows: deque[dict[str, Any]] = deque(maxlen=MEMORY)
        self._file = file.open("a", buffering=1, encoding="ascii") if file else None

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """`app`, with every request logged, except those for addresses that begin with `/__`."""

        async def logged(scope: Scope, receive: Receive, send: Send) -> None:
            path = scope.get("raw_path", b"").decode("ascii", "replace")
            if scope["type"] != "http":
                await app(scope, receive, send)
            elif path == PATH and self._control.allows(scope):
                await self._answer(Request(scope))(scope, receive, send)
            elif path.startswith("/__"):
                await app(scope, receive, send)
            else:
                await self._log(app, path, scope, receive, send)

        return logged

    async def _log(self, app: ASGIApp, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        row: dict[str, Any] = {
            "method": scope["method"],
            "path": path,
            "query": scope["query_string"].decode("ascii", "replace"),
            "range": headers.get(b"range", b"").decode("latin-1") or None,
            "user_agent": headers.get(b"user-agent", b"").decode("latin-1"),
            "status": None,
            "received": 0,
            "bytes": 0,
        }
        started = time.monotonic()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                row["status"] = message["status"]
            else:
                row["bytes"] += len(message.get("body", b""))
            await send(message)

        async def received() -> Message:
            message = await receive()
            row["received"] += len(message.get("body", b""))
            return message

        try:
            await app(scope, received, counted)
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
