"""How a test makes the network fail: rules that spoil chosen requests on their way through the server.

A test on this machine posts rules to `/__faults__`; each names which requests it means (by method and path), when it
strikes (after `skip` matches, `times` times, with a `probability` drawn from its own seed) and what happens:

    status    answer with `status` (such as 429 or 503), `headers` and `body`, instead of the real answer
    html      answer with a page of HTML and status 200, as a captive portal does
    reset     reset the connection (TCP RST) after `after` bytes of the body
    drop      close the connection after `after` bytes: a truncated body under an intact Content-Length
    flip      invert the byte at `after`: same length, other content
    stall     send nothing for `seconds` once `after` bytes are out
    throttle  send bodies at `bytes_per_second`, all that the rule means together: one line that they share

The first rule that matches and strikes decides. `GET` shows the rules and how often each matched and struck,
`DELETE` removes them. A seed makes the draws repeatable as long as the matching requests come in the same order.
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
from localhub.refusals import BadRequest, Refusal
from localhub.request_log import is_local

PATH = "/__faults__"
#: Seconds by which a busy machine may have overslept on a throttled line.
_MADE_UP = 0.03
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
    body: Any = field(default_factory=lambda: {"error": "a fault of this test"})
    after: int = 0
    seconds: float = 0.0
    bytes_per_second: float = 1e6
    matched: int = field(default=0, init=False)
    struck: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self.line = asyncio.Lock()
        # When the line is free again, on the event loop's clock.
        self._free = 0.0

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Self:
        """A rule from JSON; raises `BadRequest` for an unknown kind or field, or a value of the wrong type."""
        known = {item.name for item in fields(cls) if item.init}
        if unknown := value.keys() - known:
            raise BadRequest(f"a fault has no {min(unknown)!r}; it may have {', '.join(sorted(known))}")
        if value.get("kind") not in KINDS:
            raise BadRequest(f"a fault's kind must be one of {', '.join(KINDS)}")
        try:
            rule = cls(**value)
            re.compile(rule.method), re.compile(rule.path)
            numbers = (rule.skip, rule.times or 0, rule.probability, rule.after, rule.seconds, rule.bytes_per_second)
            if min(numbers) < 0 or not 0 <= rule.probability <= 1 or not 200 <= rule.status <= 599:
                raise ValueError("a number is out of its range")
        except (TypeError, ValueError, re.error) as error:
            raise BadRequest(f"not a usable fault: {error}") from None
        return rule

    def strikes(self, method: str, path: str) -> bool:
        """Whether this request fails; counts it."""
        if not (re.search(self.method, method) and re.search(self.path, path)):
            return False
        self.matched += 1
        if self.matched <= self.skip or (self.times is not None and self.struck >= self.times):
            return False
        if self._random.random() >= self.probability:
            return False
        self.struck += 1
        return True

    async def pass_on(self, size: int) -> None:
        """Wait as long as the line takes for `size` bytes. A sleep that lasted too long is made up for by the next."""
        now = asyncio.get_running_loop().time()
        self._free = max(self._free, now - _MADE_UP) + size / self.bytes_per_second
        await asyncio.sleep(self._free - now)

    def said(self) -> dict[str, Any]:
        """The rule and its counts, for `GET`."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


class _Cut(Exception):  # noqa: N818 - it ends a request on purpose; nothing went wrong
    """The connection was closed on purpose; the application need not go on."""


class Faults:
    """The rules in force, and the application behind them."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []

    def around(self, app: ASGIApp) -> ASGIApp:
        """`app`, failing as the rules say."""

        async def spoiled(scope: Scope, receive: Receive, send: Send) -> None:
            path = scope.get("raw_path", b"").decode("ascii", "replace")
            if scope["type"] == "http" and path == PATH and is_local(scope):
                await (await self._answer(Request(scope, receive)))(scope, receive, send)
                return
            query = scope.get("query_string", b"").decode("ascii", "replace")
            asked = f"{path}?{query}" if query else path
            rule = next((rule for rule in self._rules if rule.strikes(scope["method"], asked)), None)
            if rule is None:
                await app(scope, receive, send)
            elif rule.kind == "status":
                await web.Json(rule.body, rule.status, rule.headers)(scope, receive, send)
            elif rule.kind == "html":
                await HTMLResponse("<!doctype html><title>Log in to continue</title>")(scope, receive, send)
            else:
                await _Spoiled(rule, scope, receive, send).run(app)

        return spoiled

    async def _answer(self, request: Request) -> Response:
        try:
            if request.method == "POST":
                asked = await web.json_body(request)
                self._rules += [Rule.parse(rule) for rule in web.field(asked, "rules", list)]
            elif request.method == "DELETE":
                self._rules.clear()
        except Refusal as refusal:
            return await web.refused(request, refusal)
        return web.Json({"rules": [rule.said() for rule in self._rules]})


class _Spoiled:
    """One request under one rule: lets `after` bytes of the body pass, then does what the rule says."""

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
        except _Cut:
            # The server takes an unfinished answer for a defect of the application, unless the connection is gone.
            while (await self._receive())["type"] != "http.disconnect":
                pass

    async def _pass(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            # Held back, so that a fault before the first byte comes before the headers too.
            self._start = message
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._rule.kind == "throttle":
            await self._slowly(body, more)
            return
        here = self._rule.after - self._sent
        if not 0 <= here < max(len(body), 1):
            await self._on(body, more)
        elif self._rule.kind == "flip" and body:
            await self._on(body[:here] + bytes([body[here] ^ 0xFF]) + body[here + 1 :], more)
        elif self._rule.kind == "stall":
            if here:
                await self._on(body[:here], more=True)
            await asyncio.sleep(self._rule.seconds)
            await self._on(body[here:], more)
        elif self._rule.kind in ("drop", "reset"):
            if here:
                await self._on(body[:here], more=True)
            self._cut()
        else:
            await self._on(body, more)

    async def _on(self, body: bytes, more: bool) -> None:
        if self._start is not None:
            start, self._start = self._start, None
            await self._send(start)
        self._sent += len(body)
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def _slowly(self, body: bytes, more: bool) -> None:
        step = max(1, int(self._rule.bytes_per_second / 20))
        for start in range(0, len(body), step):
            piece = body[start : start + step]
            # Who waits first is served first: everybody on the line gets the same share of it.
            async with self._rule.line:
                await self._on(piece, more=True)
                await self._rule.pass_on(len(piece))
        await self._on(b"", more)

    def _cut(self) -> None:
        transport: asyncio.Transport = self._scope["transport"]
        if self._rule.kind == "reset":
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()
        raise _Cut
