"""Network failures for tests: rules that make chosen requests fail.

A test posts rules to `/__faults__` (`localhub/control.py` says who may). Each rule says which requests it matches (by
method and path), when it applies (after `skip` matches, at most `times` times, with a `probability` and a seed of its
own) and what happens:

    status    answer with `status` (such as 429 or 503), `headers` and `body`, instead of the real answer
    html      answer with an HTML page and status 200, as a captive portal does
    reset     reset the connection (TCP RST) after `after` bytes of the body
    drop      close the connection after `after` bytes: a truncated body under an intact Content-Length
    flip      invert the byte at `after`: same length, other content
    stall     send nothing for `seconds` after `after` bytes
    throttle  send bodies at `bytes_per_second`, shared by all requests of the rule

The first rule that matches and applies is used. `GET` shows the rules with the number of requests that each matched and
was applied to, `DELETE` removes them. With the same seed, the same requests fail if they come in the same order.
"""

import asyncio
import random
import re
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localhub import web
from localhub.control import Control
from localhub.request_errors import BadRequest, RequestError

PATH = "/__faults__"
#: Longest delay of a sleep, in seconds, that a throttled connection makes up for: on a busy machine sleeps take longer.
_MAX_DELAY = 0.03
KINDS = ("status", "html", "reset", "drop", "flip", "stall", "throttle")


@dataclass
class Rule:
    """Which requests fail, how often, and how. `method` and `path` are regular expressions on the request as sent."""

    kind: str
    method: str = ""
    path: str = ""
    skip: int = 0
    times: int | None = None
    probability: float = 1.0
    seed: int = 0
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = field(default_factory=lambda: {"error": "a fault set by this test"})
    after: int = 0
    seconds: float = 0.0
    bytes_per_second: float = 1e6
    matched: int = field(default=0, init=False)
    applied: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self.line = asyncio.Lock()
        # When the line will be free, on the event loop's clock.
        self._free = 0.0

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Self:
        """A rule from JSON; raises `BadRequest` for an unknown kind or field, or a value of the wrong type."""
        known = {item.name for item in fields(cls) if item.init}
        if unknown := value.keys() - known:
            raise BadRequest(f"a fault has no field {min(unknown)!r}; it may have {', '.join(sorted(known))}")
        if value.get("kind") not in KINDS:
            raise BadRequest(f"a fault's kind must be one of {', '.join(KINDS)}")
        try:
            rule = cls(**value)
            re.compile(rule.method), re.compile(rule.path)
            numbers = (rule.skip, rule.times or 0, rule.probability, rule.after, rule.seconds, rule.bytes_per_second)
            if min(numbers) < 0 or not 0 <= rule.probability <= 1 or not 200 <= rule.status <= 599:
                raise ValueError("a number is out of range")
        except (TypeError, ValueError, re.error) as error:
            raise BadRequest(f"invalid fault: {error}") from None
        return rule

    def applies(self, method: str, path: str) -> bool:
        """Whether this request fails; counts it, too."""
        if not (re.search(self.method, method) and re.search(self.path, path)):
            return False
        self.matched += 1
        if self.matched <= self.skip or (self.times is not None and self.applied >= self.times):
            return False
        if self._random.random() >= self.probability:
            return False
        self.applied += 1
        return True

    async def pass_on(self, size: int) -> None:
        """Wait as long as the line needs for `size` bytes; after a sleep that took too long, the next is shorter."""
        now = asyncio.get_running_loop().time()
        self._free = max(self._free, now - _MAX_DELAY) + size / self.bytes_per_second
        await asyncio.sleep(self._free - now)

    def to_json(self) -> dict[str, Any]:
        """The rule and its counts, for `GET`."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


class _ConnectionClosed(Exception):  # noqa: N818 - no error: the rule says so
    """The rule closed the connection; the application need not continue."""


class Faults:
    """The current rules."""

    def __init__(self, control: Control = Control()) -> None:
        self._control = control
        self._rules: list[Rule] = []

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """`app`, with the failures of the rules."""

        async def faulty(scope: Scope, receive: Receive, send: Send) -> None:
            path = scope.get("raw_path", b"").decode("ascii", "replace")
            if scope["type"] == "http" and path == PATH and self._control.allows(scope):
                await (await self._answer(Request(scope, receive)))(scope, receive, send)
                return
            query = scope.get("query_string", b"").decode("ascii", "replace")
            target = f"{path}?{query}" if query else path
            rule = next((rule for rule in self._rules if rule.applies(scope["method"], target)), None)
            if rule is None:
                await app(scope, receive, send)
            elif rule.kind == "status":
                await web.Json(rule.body, rule.status, rule.headers)(scope, receive, send)
            elif rule.kind == "html":
                await HTMLResponse("<!doctype html><title>Log in to continue</title>")(scope, receive, send)
            else:
                await _FaultyResponse(rule, scope, receive, send).run(app)

        return faulty

    async def _answer(self, request: Request) -> Response:
        try:
            if request.method == "POST":
                sent = await web.json_body(request)
                self._rules += [Rule.parse(rule) for rule in web.field(sent, "rules", list)]
            elif request.method == "DELETE":
                self._rules.clear()
        except RequestError as error:
            return await web.error_response(request, error)
        return web.Json({"rules": [rule.to_json() for rule in self._rules]})


class _FaultyResponse:
    """The response to one request under one rule: sends `after` bytes of the body, then does what the rule says."""

    def __init__(self, rule: Rule, scope: Scope, receive: Receive, send: Send):
        self._rule = rule
        self._scope = scope
        self._receive = receive
        self._send = send
        self._sent = 0
        self._start: Message | None = None

    async def run(self, app: ASGIApp) -> None:
        try:
            await app(self._scope, self._receive, self._pass)
        except _ConnectionClosed:
            # uvicorn reports an unfinished answer as an error of the application, unless the connection is closed.
            while (await self._receive())["type"] != "http.disconnect":
                pass

    async def _pass(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            # Sent with the first byte of the body, so that a fault before that byte is also before the headers.
            self._start = message
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._rule.kind == "throttle":
            await self._send_throttled(body, more)
            return
        here = self._rule.after - self._sent
        if not 0 <= here < max(len(body), 1):
            await self._send_body(body, more)
        elif self._rule.kind == "flip" and body:
            await self._send_body(body[:here] + bytes([body[here] ^ 0xFF]) + body[here + 1 :], more)
        elif self._rule.kind == "stall":
            if here:
                await self._send_body(body[:here], more=True)
            await asyncio.sleep(self._rule.seconds)
            await self._send_body(body[here:], more)
        elif self._rule.kind in ("drop", "reset"):
            if here:
                await self._send_body(body[:here], more=True)
            self._close_connection()
        else:
            await self._send_body(body, more)

    async def _send_body(self, body: bytes, more: bool) -> None:
        if self._start is not None:
            start, self._start = self._start, None
            await self._send(start)
        self._sent += len(body)
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def _send_throttled(self, body: bytes, more: bool) -> None:
        step = max(1, int(self._rule.bytes_per_second / 20))
        for start in range(0, len(body), step):
            piece = body[start : start + step]
            # The lock is fair: all requests of the rule get the same share of the line.
            async with self._rule.line:
                await self._send_body(piece, more=True)
                await self._rule.pass_on(len(piece))
        await self._send_body(b"", more)

    def _close_connection(self) -> None:
        transport: asyncio.Transport = self._scope["transport"]
        if self._rule.kind == "reset":
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()
        raise _ConnectionClosed
